package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/daemon"
	"github.com/weirfs/weir/filters/activity"
)

// activityView prints what a watcher is told.
type activityView struct {
	out, errs *daemon.Output
	json      bool
	request   activity.Request

	begun     time.Time
	told      uint64
	dropped   uint64
	undecided uint64
	noted     uint64 // of undecided
}

func newActivityView(c *cobra.Command, asJSON bool, r activity.Request) *activityView {
	v := &activityView{json: asJSON, request: r, begun: time.Now()}
	v.out, v.errs = outputs(c)
	return v
}

// hurry has no reader of the output keep the end.
func (v *activityView) hurry() {
	v.out.Hurry()
	v.errs.Hurry()
}

// follow prints until the conversation ends.
func (v *activityView) follow(ctx context.Context, port weir.Port) error {
	for {
		text, err := port.Receive(ctx)
		if weir.KindOf(err) == weir.KindAbsent {
			return &weir.Error{Op: "watch", Kind: weir.KindAbsent, Err: errors.New("the running weir has ended"), Hint: "start it again"}
		}
		if err != nil {
			return err
		}
		var m activity.Message
		if err := json.Unmarshal(text, &m); err != nil {
			return &weir.Error{Op: "watch", Err: fmt.Errorf("what the running weir tells is not understood: %w", err),
				Hint: "see whether it is of this version"}
		}
		if m.Watching != nil {
			if err := v.start(*m.Watching); err != nil {
				return err
			}
		}
		v.print(m)
		if m.End != "" {
			return endOf(m)
		}
	}
}

// endOf returns nil if what ends a conversation is no failure.
func endOf(m activity.Message) error {
	if m.Kind == 0 {
		return nil
	}
	return &weir.Error{Op: "watch", Kind: m.Kind, Err: errors.New(m.End), Hint: "weir filters shows what is loaded"}
}

// start says what is watched, or refuses if that is nothing.
func (v *activityView) start(w activity.Watching) error {
	if len(w.Volumes) == 0 {
		e := &weir.Error{Op: "watch", Kind: weir.KindUnsupported, Err: errors.New("nothing can be observed there"), Hint: "weir coverage --all says why"}
		if len(w.Unwatched) > 0 {
			e.Err = fmt.Errorf("volume %d: %s", w.Unwatched[0].Volume, w.Unwatched[0].Why)
		}
		return e
	}
	if v.json {
		event(v.out, "watching", map[string]any{"volumes": w.Volumes, "unwatched": w.Unwatched})
		return nil
	}
	for _, u := range w.Unwatched {
		fmt.Fprintf(v.errs, "weir: volume %d is not watched: %s\n", u.Volume, printable(u.Why))
	}
	fmt.Fprintf(v.out, lineFormat, "TIME", "VOLUME", "OPERATIONS", "PID", "PROCESS", "PATH")
	return nil
}

const lineFormat = "%-12s  %6s  %-19s  %7s  %-15s  %s\n"

// print prints a message: at once, since the next may take long to come.
func (v *activityView) print(m activity.Message) {
	var b bytes.Buffer
	for _, e := range m.Events {
		v.line(&b, e)
	}
	if b.Len() > 0 {
		_, _ = v.out.Write(b.Bytes()) // The output keeps the error.
	}
	v.told += uint64(len(m.Events))
	if m.Dropped > v.dropped {
		v.dropped = m.Dropped
		v.say("dropped", fmt.Sprintf("%d operations have been dropped so far", m.Dropped), map[string]any{"dropped": m.Dropped})
	}
	v.count(m.Undecided)
	for _, note := range m.Notes {
		v.say("note", note, map[string]any{"text": note})
	}
	if m.End != "" && m.Kind == 0 {
		v.say("note", m.End, map[string]any{"text": m.End})
	}
}

// count tells how many operations could not be decided about when there is the first, and each time that they have become ten
// times as many: where processes are short, it would else be a line for each of them.
func (v *activityView) count(undecided uint64) {
	v.undecided = max(v.undecided, undecided)
	if v.undecided == 0 || v.undecided < 10*v.noted {
		return
	}
	v.noted = v.undecided
	text := fmt.Sprintf("operations of processes whose names could not be read any more, so far: %d; they may be of %s; without --comm all are shown",
		v.undecided, weir.QuotePath(v.request.Process))
	v.say("undecided", text, map[string]any{"undecided": v.undecided})
}

func (v *activityView) line(b io.Writer, e activity.Event) {
	if v.json {
		_ = json.NewEncoder(b).Encode(struct {
			What string `json:"event"`
			activity.Event
		}{"operation", e})
		return
	}
	path := e.Path
	if e.To != "" {
		path += " -> " + e.To
	}
	if e.Instance != "" {
		path += "  [" + e.Instance + "]"
	}
	fmt.Fprintf(b, lineFormat, e.Time.Local().Format("15:04:05.000"), fmt.Sprint(e.Volume), e.Ops, fmt.Sprint(e.PID), e.Process, path)
}

// say tells what is no operation.
func (v *activityView) say(name, text string, fields map[string]any) {
	if v.json {
		event(v.out, name, fields)
		return
	}
	fmt.Fprintf(v.errs, "weir: %s\n", printable(text))
}

// finish sums up, unless the watching was refused.
func (v *activityView) finish(err error) {
	if k := weir.KindOf(err); err != nil && (k == weir.KindRefused || k == weir.KindUnsupported) {
		return
	}
	took := time.Since(v.begun)
	if v.json {
		fields := endFields(0, err)
		if err != nil {
			fields["exit_status"] = weir.KindOf(err).ExitStatus()
		}
		fields["told"], fields["dropped"], fields["undecided"], fields["seconds"] = v.told, v.dropped, v.undecided, took.Seconds()
		event(v.out, "end", fields)
		return
	}
	undecided := ""
	if v.request.Process != "" {
		undecided = fmt.Sprintf(", %d undecided", v.undecided)
	}
	fmt.Fprintf(v.errs, "weir: watched for %v: %d told, %d dropped%s\n", took.Round(time.Millisecond), v.told, v.dropped, undecided)
}
