package policy

import (
	"math"
	"time"
)

// Brake counts what one replica loses: deletions, and files that were emptied or replaced by another type.
// Above the limit it trips, and refuses until Consent or Settled: what it refuses must wait, while
// everything else goes on.
//
// It measures the net loss: how far the number of files is below its highest within the last Window. What
// Grew reports makes up for deletions that come later, so that a spool whose files come and go all day
// loses nothing, while a tree that was filled by a first copy and is then emptied loses everything.
//
// A Brake is used by one goroutine. Time is the caller's; a clock that was set back makes no deletion
// count less.
type Brake struct {
	limit Limit
	state brakeState
}

// brakeState is what survives a restart.
type brakeState struct {
	// Tripped is set while deletions wait for consent.
	Tripped bool
	// Level is the number of files, counted from an arbitrary one: only differences mean anything.
	Level int64
	// Steps are the parts of the window in which something happened, oldest first.
	Steps []brakeStep
	// Allowed is what is left of a consent until Until.
	Allowed int64
	Until   int64
}

// brakeStep is one minute of the window.
type brakeStep struct {
	Minute int64 // since 1970
	High   int64 // the highest level in this minute, or before it since the last step
	Total  int64 // the most files that the replica was said to hold
}

const windowMinutes = int64(Window / time.Minute)

// NewBrake returns a brake that has seen nothing.
func NewBrake(limit Limit) *Brake { return &Brake{limit: limit} }

// Limit returns the limit.
func (b *Brake) Limit() Limit { return b.limit }

// Ask reports whether n more files may be deleted, emptied or replaced by another type now, and counts
// them if so. All n pass or none. total is the number of files that the replica holds now.
func (b *Brake) Ask(now time.Time, n int, total int64) bool {
	if n <= 0 || b.limit.form == limitOff {
		return true
	}
	step := b.step(now)
	step.Total = max(step.Total, total)
	if b.state.Allowed > 0 && step.Minute <= b.state.Until {
		return b.askAllowed(int64(n))
	}
	if b.state.Tripped {
		return false
	}
	if lost, peak := b.Lost(); b.limit.exceeded(lost+int64(n), peak) {
		b.state.Tripped = true
		return false
	}
	b.state.Level -= int64(n)
	return true
}

// askAllowed takes n from what was consented to. It counts for nothing else.
func (b *Brake) askAllowed(n int64) bool {
	if n > b.state.Allowed {
		b.state.Tripped, b.state.Allowed = true, 0
		return false
	}
	b.state.Allowed -= n
	return true
}

// Allows reports whether Ask would let n files go. total is as there.
func (b *Brake) Allows(n int, total int64) bool {
	lost, peak := b.Lost()
	return !b.state.Tripped && !b.limit.exceeded(lost+int64(n), max(peak, total))
}

// Undo takes back n that Ask has let pass and that were not lost after all: a parked file whose new name
// was found.
func (b *Brake) Undo(n int) { b.raise(max(n, 0)) }

// Grew says that n files came to the replica that were not on the source before. Files of a first copy,
// or of a place that returned, are not reported: they are what the brake protects.
func (b *Brake) Grew(now time.Time, n int) {
	if n > 0 {
		b.step(now)
		b.raise(n)
	}
}

func (b *Brake) raise(n int) {
	s := &b.state
	s.Level += int64(n)
	if last := len(s.Steps) - 1; last >= 0 {
		s.Steps[last].High = max(s.Steps[last].High, s.Level)
	}
}

// Lost returns how many files fewer there are than at the highest point within the window, as of the last
// call with a time, and how many the replica held at the most.
func (b *Brake) Lost() (lost, peak int64) {
	high := b.state.Level
	for _, step := range b.state.Steps {
		high = max(high, step.High)
		peak = max(peak, step.Total)
	}
	return high - b.state.Level, peak
}

// Tripped reports whether deletions wait for consent.
func (b *Brake) Tripped() bool { return b.state.Tripped }

// Consent lets n deletions pass within the next Window, those that wait, and begins to count anew.
func (b *Brake) Consent(now time.Time, n int64) {
	b.state = brakeState{}
	if n > 0 {
		b.state.Allowed = n
		b.state.Until = b.step(now).Minute + windowMinutes
	}
}

// Settled says that nothing waits any more, since the source has the files again: the brake is released
// without consent. What was lost within the window still counts.
func (b *Brake) Settled() { b.state.Tripped = false }

// step returns the step of this minute, after those that have left the window are dropped.
func (b *Brake) step(now time.Time) *brakeStep {
	s := &b.state
	minute := floorMinute(now)
	if last := len(s.Steps) - 1; last >= 0 && minute < s.Steps[last].Minute {
		s.shift(minute - s.Steps[last].Minute)
	}
	drop := 0
	for drop < len(s.Steps) && s.Steps[drop].Minute <= minute-windowMinutes {
		drop++
	}
	s.Steps = append(s.Steps[:0], s.Steps[drop:]...)
	if last := len(s.Steps) - 1; last < 0 || s.Steps[last].Minute != minute {
		s.Steps = append(s.Steps, brakeStep{Minute: minute, High: s.Level})
	}
	return &s.Steps[len(s.Steps)-1]
}

// shift moves everything by some minutes when the clock was set back: the last step becomes the present.
func (s *brakeState) shift(minutes int64) {
	for i := range s.Steps {
		s.Steps[i].Minute += minutes
	}
	if s.Until != 0 {
		s.Until += minutes
	}
}

func floorMinute(now time.Time) int64 {
	return int64(math.Floor(float64(now.Unix()) / 60))
}
