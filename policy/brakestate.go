package policy

import (
	"encoding/json"
	"errors"
	"fmt"
)

// brakeVersion is the version of the state's format.
const brakeVersion = 1

// maxCount bounds every number of a state that is read, so that sums cannot overflow.
const maxCount = int64(1) << 53

type brakeJSON struct {
	Version int        `json:"version"`
	Limit   string     `json:"limit"`
	Tripped bool       `json:"tripped,omitempty"`
	Came    int64      `json:"came,omitempty"`
	Level   int64      `json:"level,omitempty"`
	Steps   [][3]int64 `json:"steps,omitempty"` // minute, high, total
	Allowed int64      `json:"allowed,omitempty"`
	Until   int64      `json:"until,omitempty"`
}

// MarshalJSON returns the state, so that a restart forgets neither a tripped brake nor what was lost.
func (b *Brake) MarshalJSON() ([]byte, error) {
	s := b.state
	out := brakeJSON{brakeVersion, b.limit.String(), s.Tripped, s.Came, s.Level, nil, s.Allowed, s.Until}
	for _, step := range s.Steps {
		out.Steps = append(out.Steps, [3]int64{step.Minute, step.High, step.Total})
	}
	return json.Marshal(out)
}

// RestoreBrake returns a brake with the state that MarshalJSON has returned. If the limit is another one
// now, a tripped brake is released, since to change the limit is the consent; what was lost still counts
// against the new one.
func RestoreBrake(limit Limit, state []byte) (*Brake, error) {
	var in brakeJSON
	if err := json.Unmarshal(state, &in); err != nil {
		return nil, fmt.Errorf("read the state of the brake: %w", err)
	}
	if in.Version != brakeVersion {
		return nil, fmt.Errorf("read the state of the brake: version %d is not known", in.Version)
	}
	s := brakeState{Came: in.Came, Level: in.Level, Allowed: in.Allowed, Until: in.Until}
	for _, step := range in.Steps {
		s.Steps = append(s.Steps, brakeStep{step[0], step[1], step[2]})
	}
	if !s.sane() {
		return nil, errors.New("read the state of the brake: it contradicts itself")
	}
	s.Tripped = in.Tripped && in.Limit == limit.String() && limit.form != limitOff
	return &Brake{limit: limit, state: s}, nil
}

func (s brakeState) sane() bool {
	ok := inRange(s.Level) && inRange(s.Allowed) && inRange(s.Until) && s.Allowed >= 0 &&
		inRange(s.Came) && s.Came >= 0 &&
		int64(len(s.Steps)) <= windowMinutes
	for i, step := range s.Steps {
		ok = ok && inRange(step.Minute) && inRange(step.High) && step.Total >= 0 && inRange(step.Total)
		if i > 0 {
			age := step.Minute - s.Steps[i-1].Minute
			ok = ok && age > 0 && age < windowMinutes
		}
	}
	return ok
}

func inRange(v int64) bool { return -maxCount <= v && v <= maxCount }
