package policy

import (
	"math"
	"time"
)

// Brake counts what one replica loses: deletions, and files that were emptied or replaced by another type.
// Above the limit it trips, and refuses until Release or Settled: what it refuses must wait, while
// everything else goes on.
//
// It measures the net loss: how far the number of files is below its highest within the last Window. What
// Grew reports makes up for deletions that come later, so that a spool whose files come and go all day
// loses nothing, while a tree that was filled by a first copy and is then emptied loses everything. What
// comes within a Window after the brake has tripped makes up for what waits, as MadeUp says: all of that
// together, so that an accident is not let go in parts. Time alone lets nothing go.
//
// A Brake is used by one goroutine. Time is the caller's; a clock that was set back makes no deletion
// count less.
type Brake struct {
	limit Limit
	state brakeState
}

// brakeState is what survives a restart.
type brakeState struct {
	// Tripped is set while deletions wait. The steps stay as they are meanwhile.
	Tripped bool
	// Came is what has come within a window since the brake tripped last.
	Came int64
	// Level is the number of files, counted from an arbitrary one: only differences mean anything.
	Level int64
	// Steps are the parts of the window in which something happened, oldest first.
	Steps []brakeStep
	// Allowed is what has been counted and may pass until Until.
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
	s := &b.state
	if s.Tripped {
		return false
	}
	step := b.step(now)
	step.Total = max(step.Total, total)
	counted := int64(0)
	if step.Minute <= s.Until {
		counted = min(int64(n), s.Allowed)
	}
	more := int64(n) - counted
	if lost, peak := b.Lost(); more > 0 && b.limit.exceeded(lost+more, peak) {
		b.trip()
		return false
	}
	s.Allowed -= counted
	s.Level -= more
	return true
}

// trip begins to refuse. What was counted and has not gone yet waits with the rest.
func (b *Brake) trip() {
	b.raise(b.state.Allowed)
	b.state.Tripped, b.state.Came, b.state.Allowed = true, 0, 0
}

// Allows reports whether Ask would let n files go. total is as there.
func (b *Brake) Allows(n int, total int64) bool {
	lost, peak := b.Lost()
	return !b.state.Tripped && !b.limit.exceeded(lost+int64(n), max(peak, total))
}

// Undo takes back n that Ask has let pass and that were not lost after all: a parked file whose new name
// was found.
func (b *Brake) Undo(n int) { b.raise(int64(max(n, 0))) }

// Grew says that n files came to the replica that were not on the source before. Files of a first copy,
// or of a place that returned, are not reported: they are what the brake protects.
func (b *Brake) Grew(now time.Time, n int) {
	switch {
	case n <= 0:
	case !b.state.Tripped:
		b.step(now)
		b.raise(int64(n))
	case floorMinute(now) < b.tripped()+windowMinutes:
		b.state.Came += int64(n)
	}
}

// tripped returns the minute at which the brake has tripped.
func (b *Brake) tripped() int64 {
	if last := len(b.state.Steps) - 1; last >= 0 {
		return b.state.Steps[last].Minute
	}
	return math.MinInt64 / 2 // A state that was read says no more.
}

func (b *Brake) raise(n int64) {
	s := &b.state
	s.Level += n
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

// MadeUp reports whether what has come since the brake tripped makes up for the n that wait: if those had
// gone at once, no more than the limit would be lost by now. total is as for Ask. It is false for a brake
// that has not tripped.
func (b *Brake) MadeUp(n, total int64) bool {
	lost, peak := b.Lost()
	return b.state.Tripped && !b.limit.exceeded(lost+n-b.state.Came, max(peak, total))
}

// Release lets the n pass that wait and were made up for, within the next Window. They are counted now.
func (b *Brake) Release(now time.Time, n int64) {
	b.raise(b.state.Came - n)
	b.state.Tripped, b.state.Allowed = false, n
	b.state.Until = b.step(now).Minute + windowMinutes
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
