package verify

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weirfs/weir"
)

// Options configures a Verifier. The zero value is ready.
type Options struct {
	// Setup is how long Concerns, Setup, Passed, Admit, Remarks, Ignores and Unload may take. Default 10 s.
	Setup time.Duration

	// Callback is how long another callback may take, and how long an operation may stay pended after its program has
	// given up. Default 1 s.
	Callback time.Duration

	// Pended is how long an operation may stay pended. Default 30 s.
	Pended time.Duration

	// Slices has it found out, at each teardown, who keeps the slice of Completed. Garbage is collected for that: it is for
	// tests.
	Slices bool

	// Actions say by rule what becomes of violations. They are reported by default.
	Actions Actions

	// Violation is called for each violation that is not ignored, on the goroutine that finds it. Nil is not called.
	Violation func(Violation)
}

// Violation is one rule, broken once.
type Violation struct {
	Rule      string
	Filter    string
	Instance  string        // empty if it is about the filter
	Volume    weir.VolumeID // likewise 0
	Operation string        // such as "create of a", if it is about one
	What      string        // what the filter has done, in a full clause
	Do        string        // what its author does about it
	Stack     string        // who has taken what was not given back, if that is it
}

// String says all of it on one line.
func (v Violation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "filter %s", v.Filter)
	if v.Instance != "" {
		fmt.Fprintf(&b, ", instance %s on volume %d", v.Instance, v.Volume)
	}
	if v.Operation != "" {
		b.WriteString(", " + v.Operation)
	}
	fmt.Fprintf(&b, ": %s: %s; %s", v.Rule, v.What, v.Do)
	if v.Stack != "" {
		b.WriteString("; taken at " + v.Stack)
	}
	return b.String()
}

// Count is how often a filter has broken a rule.
type Count struct {
	Filter string `json:"filter"`
	Rule   string `json:"rule"`
	Count  uint64 `json:"count"`
}

// Verifier watches filters. It is safe for concurrent use. A nil Verifier watches none.
type Verifier struct {
	options Options
	remove  func(of weir.Host, why string)
	logger  *slog.Logger

	mu         sync.Mutex
	counts     map[Count]uint64 // their Count is 0
	instances  map[weir.Host]*instance
	deliveries map[*weir.Operation]*passage // by the first of their operations
}

// New makes a verifier. It starts nothing. remove is told which instance is to be taken away, by its host, and why; it returns
// at once.
func New(o Options, remove func(of weir.Host, why string), logger *slog.Logger) *Verifier {
	o.Setup = cmp.Or(o.Setup, 10*time.Second)
	o.Callback = cmp.Or(o.Callback, time.Second)
	o.Pended = cmp.Or(o.Pended, 30*time.Second)
	return &Verifier{
		options: o, remove: remove, logger: logger,
		counts: map[Count]uint64{}, instances: map[weir.Host]*instance{}, deliveries: map[*weir.Operation]*passage{},
	}
}

// Counts lists the rules that were broken, by filter and rule.
func (v *Verifier) Counts() (list []Count) {
	if v == nil {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for c, n := range v.counts {
		c.Count = n
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b Count) int {
		return cmp.Or(strings.Compare(a.Filter, b.Filter), strings.Compare(a.Rule, b.Rule))
	})
	return list
}

// report does with a violation what its action says: it is counted and told, and of is taken away, which is nil if it is about
// no instance. The log has the first, the second, the fourth of each kind, and so on.
func (v *Verifier) report(of *instance, found Violation) {
	action := v.options.Actions.of(found.Rule)
	if action == Ignore {
		return
	}
	found.Do = ruleOf(found.Rule).Do
	key := Count{Filter: found.Filter, Rule: found.Rule}
	v.mu.Lock()
	v.counts[key]++
	n := v.counts[key]
	v.mu.Unlock()
	if n&(n-1) == 0 {
		v.logger.Error("a filter breaks a rule", "rule", found.Rule, "filter", found.Filter, "instance", found.Instance,
			"volume", found.Volume, "operation", found.Operation, "what", found.What, "do", found.Do, "taken", found.Stack, "count", n, "action", action.String())
	}
	if v.options.Violation != nil {
		v.options.Violation(found)
	}
	if action == Remove && of != nil && of.host != nil {
		v.remove(of.host, fmt.Sprintf("it has broken rule %s: %s", found.Rule, found.What))
	}
}

// watch makes a call, and reports it when it has not returned in time, whether or not it does later. of is that of report.
func (v *Verifier) watch(of *instance, limit time.Duration, found Violation, call func()) {
	found.What += fmt.Sprintf(" has not returned after %v", limit)
	timer := time.AfterFunc(limit, func() { v.report(of, found) })
	defer timer.Stop()
	call()
}
