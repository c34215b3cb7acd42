package main

import (
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/control"
	"github.com/weirfs/weir/daemon"
	"github.com/weirfs/weir/internal/sys/process"
	"github.com/weirfs/weir/policy"
	rules "github.com/weirfs/weir/verify"
	"github.com/weirfs/weir/volume"
)

const mirrorLong = `Copies SOURCE to each TARGET, then follows it: every change is on every replica
within milliseconds, on whatever volume below SOURCE it is made, also on volumes
that are mounted later. Stop it with Ctrl-C; the next start copies what changed
in between, and nothing else.

A volume that goes away is not a deletion: its part of the replica stays as it
is, and catches up when the volume is back. A target that goes away is waited
for. Deletions above --max-delete wait for consent.

Everything that Linux keeps of a file is copied, as far as the target can store
it; what it cannot store is listed. Hidden in TARGET/.weir is what weir needs for
itself, and what it set aside.`

const mirrorExample = `  weir mirror /home /mnt/backup/home
  weir mirror --once -x '*.o' -x '/build/' /src /mnt/a/src /mnt/b/src
  weir mirror --exclude-volume LABEL=scratch --exclude-volume TYPE=tmpfs /srv /mnt/backup/srv
  weir mirror --replaced mirror /srv /mnt/backup/srv   another disk is at /srv, and it is right
  weir mirror --max-delete off /srv /mnt/backup/srv    the deletions that wait are meant`

const mirrorExit = `  0  every target has passed the barrier: all that was seen is durable
  1  with --once: something could not be replicated; it is listed
  2  refused: neither SOURCE nor what is on a TARGET was changed
  3  failed, or a target was left behind when weir was stopped`

// mirrorFlags are the flags as they were typed.
type mirrorFlags struct {
	once, oneVolume, adopt, dryRun   bool
	noDevices, noPrivileges, lowPrio bool
	json, fallback                   bool
	exclude, excludeVolume, forget   []string
	manifests                        []string
	maxDelete, replaced, bwlimit     string
	state, progress, logLevel        string
	scanInterval, verifyFilters      string

	screen *screen // nil without a live view
	out    *daemon.Output
	errs   *daemon.Output
}

func newMirrorCommand() *cobra.Command {
	f := new(mirrorFlags)
	c := &cobra.Command{
		Use:         "mirror [flags] SOURCE TARGET [TARGET...]",
		Short:       "Keep replicas of a tree in real time",
		Long:        mirrorLong,
		Example:     mirrorExample,
		Annotations: map[string]string{exitKey: mirrorExit},
		Args:        sourceAndTargets,

		ValidArgsFunction: completeDirs,
		RunE: func(c *cobra.Command, args []string) error {
			return f.run(c, args[0], args[1:])
		},
	}
	p := c.Flags()
	p.BoolVar(&f.once, "once", false, "make the replicas equal, pass the barrier, and end")
	p.StringArrayVarP(&f.exclude, "exclude", "x", nil, "leave out what matches `PATTERN`; ordered, the last match wins; / anchors, ** crosses directories, ! re-includes")
	p.BoolVar(&f.oneVolume, "one-volume", false, "leave out what is mounted below SOURCE")
	p.StringArrayVar(&f.excludeVolume, "exclude-volume", nil, "keep filters off a volume: `SPEC` is UUID=..., LABEL=..., TYPE=fstype, a device or an absolute mount point; below SOURCE it is left out")
	p.StringArrayVar(&f.forget, "forget", nil, "the volume that was mounted at `PLACE` does not come back: replicate what stands there now; what else the replica has there is set aside")
	p.BoolVar(&f.adopt, "adopt", false, "take over a target that holds data weir did not make: what is equal is kept, the rest is set aside")
	p.StringVar(&f.maxDelete, "max-delete", "", "`LIMIT` of what may vanish within an hour without consent: a number of files, a percentage such as 10%, or off (default: 1,000 files, and half of the replica in any case)")
	p.StringVar(&f.replaced, "replaced", "hold", "`HOW` a volume is taken that stands where a different one was replicated: hold, merge or mirror")
	p.BoolVar(&f.noDevices, "no-devices", false, "leave out device nodes")
	p.BoolVar(&f.noPrivileges, "no-privileges", false, "leave out setuid and setgid bits and file capabilities")
	p.BoolVar(&f.dryRun, "dry-run", false, "say what would be copied, set aside and refused, and change nothing")
	p.StringVar(&f.bwlimit, "bwlimit", "", "read at most `RATE` bytes a second from the source; K, M and G are powers of 1024")
	p.BoolVar(&f.lowPrio, "low-priority", false, "do the first comparison and copy at idle I/O priority")
	p.StringVar(&f.scanInterval, "scan-interval", "10s", "every `TIME`, such as 500ms, 10s or 1m30s, volumes are compared that report no events (FUSE, overlay, network file systems)")
	p.StringVar(&f.state, "state", "", "`DIR` for weir's memory (default: one below "+daemon.StateRoot+", by SOURCE and TARGETs)")
	p.BoolVar(&f.json, "json", false, "print a JSON object per line, on standard output")
	p.StringVar(&f.progress, "progress", "auto", "`WHEN` there is a live view: auto, always or never")
	p.StringVar(&f.logLevel, "log-level", "info", "`LEVEL` of the log: debug, info, warn or error")
	p.StringArrayVar(&f.manifests, "manifest", nil, "filters have the instances that `FILE` says, whenever they are loaded; the help of weir load has an example")
	p.StringVar(&f.verifyFilters, "verify-filters", "", "watch whether filters keep their rules; who breaks one is logged, and listed by weir filters; with `RULE=ACTION,...` the action for a rule is report, which is that, ignore, or remove, which takes the instance away as well; all stands for the rules that are not named")
	p.Lookup("verify-filters").NoOptDefVal = verifyAll
	p.BoolVar(&f.fallback, "mountinfo", false, "find mounts by mountinfo alone, as on kernels before 6.15")
	completeFlags(c)
	_ = p.MarkHidden("mountinfo") // For tests of what older kernels do.
	return c
}

// sourceAndTargets refuses a command line that lacks either.
func sourceAndTargets(_ *cobra.Command, args []string) error {
	if len(args) < 2 {
		return errors.New("SOURCE and at least one TARGET are needed")
	}
	return nil
}

// options checks the flags.
func (f *mirrorFlags) options(source string, targets []string) (o daemon.Options, err error) {
	o = daemon.Options{
		Source: source, Targets: targets, OneVolume: f.oneVolume, Forget: f.forget, Adopt: f.adopt, NoDevices: f.noDevices,
		NoPrivileges: f.noPrivileges, State: f.state, Fallback: f.fallback,
		Idle: f.lowPrio, Announce: control.RunningDir(),
	}
	if o.Rules, err = policy.ParseRules(f.exclude); err != nil {
		return o, ofFlag("exclude", err)
	}
	for _, text := range f.excludeVolume {
		spec, err := volume.ParseSpec(text)
		if err != nil {
			return o, ofFlag("exclude-volume", err)
		}
		o.Exclude = append(o.Exclude, spec)
	}
	if o.Brake, err = policy.ParseBrake(f.maxDelete); err != nil {
		return o, ofFlag("max-delete", err)
	}
	if err := behindBlank(f.verifyFilters, append([]string{source}, targets...)); err != nil {
		return o, err
	}
	if f.verifyFilters != "" {
		actions, err := rules.ParseActions(f.verifyFilters)
		if err != nil {
			return o, ofFlag("verify-filters", err)
		}
		o.Verify = &rules.Options{Actions: actions}
	}
	if o.Replaced, err = policy.ParseReplaced(f.replaced); err != nil {
		return o, ofFlag("replaced", err)
	}
	for _, path := range f.manifests {
		m, _, err := readManifest(path)
		if err != nil {
			return o, err
		}
		o.Manifests = append(o.Manifests, m)
	}
	if o.ScanInterval, err = time.ParseDuration(f.scanInterval); err != nil || o.ScanInterval < 100*time.Millisecond {
		return o, refusedFlag("scan-interval", f.scanInterval, "not a time of at least 100ms, such as 500ms, 10s or 1m30s")
	}
	if !slices.Contains([]string{"auto", "always", "never"}, f.progress) {
		return o, refusedFlag("progress", f.progress, "not one of auto, always, never")
	}
	o.Bandwidth, err = parseRate(f.bwlimit)
	return o, err
}

// verifyAll is what --verify-filters means without a value.
const verifyAll = rules.All + "=report"

// behindBlank refuses an argument that is meant as the value of --verify-filters, which a blank separates from the flag, and
// which would be a directory.
func behindBlank(value string, args []string) error {
	meant := slices.IndexFunc(args, regexp.MustCompile(`^[a-z-]+=[a-z]+(,[a-z-]+=[a-z]+)*$`).MatchString)
	if value != verifyAll || meant < 0 {
		return nil
	}
	return &weir.Error{Op: "use", Kind: weir.KindRefused, Path: args[meant], Err: errors.New("a blank makes a directory of what may be meant for --verify-filters"),
		Hint: "write --verify-filters=" + args[meant] + ", or ./" + args[meant] + " if it is a directory"}
}

func refusedFlag(flag, value, why string) error {
	return &weir.Error{Op: "use --" + flag, Kind: weir.KindRefused, Path: value, Err: errors.New(why), Hint: "see weir mirror --help"}
}

// ofFlag has an error name the flag whose value was refused.
func ofFlag(flag string, err error) error {
	var e *weir.Error
	if errors.As(err, &e) {
		e.Op = "use --" + flag
	}
	return err
}

// parseRate reads bytes a second: "500K", "10M", "1.5G" or a number.
func parseRate(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	number, unit := strings.ToUpper(text), 1.0
	for suffix, factor := range map[string]float64{"K": 1 << 10, "M": 1 << 20, "G": 1 << 30} {
		if rest, ok := strings.CutSuffix(number, suffix); ok {
			number, unit = rest, factor
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || n*unit < 1024 || n*unit > 1<<50 {
		return 0, refusedFlag("bwlimit", text, "not a rate of at least 1K, such as 500K, 10M or 1.5G")
	}
	return int64(n * unit), nil
}

func (f *mirrorFlags) logger() (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.logLevel)); err != nil {
		return nil, refusedFlag("log-level", f.logLevel, "not one of debug, info, warn, error")
	}
	o := &slog.HandlerOptions{Level: level}
	if f.json {
		return slog.New(slog.NewJSONHandler(f.out, o)), nil
	}
	if f.progress == "always" || f.progress == "auto" && obeys(os.Stderr) {
		f.screen = &screen{to: f.errs, file: os.Stderr}
		return slog.New(slog.NewTextHandler(f.screen, o)), nil
	}
	return slog.New(slog.NewTextHandler(f.errs, o)), nil
}

// obeys reports whether a file is a terminal that moves its cursor when it is told to.
func obeys(file *os.File) bool {
	kind := os.Getenv("TERM")
	return kind != "" && kind != "dumb" && term.IsTerminal(int(file.Fd()))
}

func (f *mirrorFlags) run(c *cobra.Command, source string, targets []string) error {
	o, err := f.options(source, targets)
	if err != nil {
		return err
	}
	f.out, f.errs = outputs(c)
	if o.Logger, err = f.logger(); err != nil {
		return err
	}
	o.Once = f.once
	if f.dryRun {
		return f.dry(c, o)
	}
	if o.Engine = daemon.AsEngine(); o.Engine == nil {
		return f.supervise(o)
	}
	if err := process.Rename("weir"); err != nil { // The link by which it was started is called exe.
		o.Logger.Debug("others list the engine under another name", "error", err)
	}
	// A terminal interrupts, or hangs up, both processes; the supervisor decides what it means.
	signal.Ignore(syscall.SIGINT, syscall.SIGHUP)
	ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGTERM)
	defer stop()
	m, err := daemon.Open(ctx, o)
	if err != nil {
		f.end(weir.KindOf(err).ExitStatus(), err)
		return err
	}
	show := newPresenter(f, m, o.Logger)
	show.start()
	err = m.Run(ctx, f.once)
	show.halt()
	err = errors.Join(err, m.Close())
	show.finish(err)
	return err
}

// supervise has another process do the work, because one that writes to a target may come to hang in the kernel, and
// neither the lock of the state directory nor whoever waits for weir shall hang with it.
func (f *mirrorFlags) supervise(o daemon.Options) error {
	outcome, err := daemon.Supervise(o, f.out, f.errs)
	if !outcome.Told {
		f.end(outcome.Status, err)
	}
	if outcome.Status == 0 && err == nil {
		return nil
	}
	return &statusError{outcome.Status, err}
}

// end tells how a mirror has ended that cannot tell itself. One that was refused had not begun.
func (f *mirrorFlags) end(status int, err error) {
	if f.json && status != weir.KindRefused.ExitStatus() {
		event(f.out, "end", endFields(status, err))
	}
}
