package advisory

// Verdict is what has been decided of an installation.
type Verdict string

// The verdicts.
const (
	Affected            Verdict = "AFFECTED"
	Fixed               Verdict = "FIXED"
	NotApplicable       Verdict = "NOT-APPLICABLE"
	PrerequisiteMissing Verdict = "PREREQUISITE-MISSING"
	Inconsistent        Verdict = "INCONSISTENT"
	PendingRestart      Verdict = "PENDING-RESTART"
	Damaged             Verdict = "DAMAGED"
	Unknown             Verdict = "UNKNOWN"
)

// Affects reports whether the installation is affected, or needs something done.
func (v Verdict) Affects() bool { return v != Fixed && v != NotApplicable && v != Unknown }

// Finding is a verdict with what it rests on.
type Finding struct {
	Advisory string   `json:"advisory"`
	Verdict  Verdict  `json:"verdict"`
	Reasons  []string `json:"reasons"`           // of the verdict
	Actions  []string `json:"actions,omitempty"` // what is to be done, in this order
	Files    []State  `json:"files,omitempty"`   // those that have decided
	Notes    []string `json:"notes,omitempty"`   // what else is to be known
	Evidence Evidence `json:"evidence"`
}

// State is whether one file is mended.
type State struct {
	Component string  `json:"component"`
	Installed string  `json:"installed"`
	Condition string  `json:"condition"` // fixed, not fixed, of another build, undetermined
	Branch    string  `json:"branch,omitempty"`
	Required  Version `json:"required"` // the article's
	Why       string  `json:"why"`
	Shipped   string  `json:"shipped,omitempty"` // in how far it is the very file of the article
	Next      string  `json:"next,omitempty"`    // its condition after the next start, if that replaces it
	NextWhy   string  `json:"next_why,omitempty"`

	hint, nextHint string // what is to be done where either is undetermined
}

// The conditions of a file.
const (
	fixed        = "fixed"
	notFixed     = "not fixed"
	otherBuild   = "of another build"
	undetermined = "undetermined"
)
