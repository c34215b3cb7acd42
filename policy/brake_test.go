package policy

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func mustBrake(t testing.TB, text string) *Brake {
	t.Helper()
	limit, err := ParseBrake(text)
	if err != nil {
		t.Fatal(err)
	}
	return NewBrake(limit)
}

// deleteOneByOne deletes up to n files with a pause after each, and returns how many passed.
func deleteOneByOne(b *Brake, now time.Time, n, total int64, pause time.Duration) (passed int64) {
	for range n {
		if !b.Ask(now, 1, total) {
			return passed
		}
		passed++
		total--
		now = now.Add(pause)
	}
	return passed
}

func TestDefaultCatchesAccidents(t *testing.T) {
	for _, c := range []struct {
		name          string
		files, remove int64
		pause         time.Duration
		passed        int64
	}{
		{"emptied at once", 15_000, 15_000, 0, 7_500},
		{"emptied within half an hour", 15_000, 15_000, 120 * time.Millisecond, 7_500},
		{"a small tree emptied", 1_500, 1_500, 0, 1_000},
		{"a tiny tree emptied", 900, 900, 0, 900},
		{"a cache that is a third", 30_000, 10_000, 0, 10_000},
		{"a clean-up of everything over a day", 15_000, 15_000, 5 * time.Second, 15_000},
	} {
		if got := deleteOneByOne(mustBrake(t, ""), noon, c.remove, c.files, c.pause); got != c.passed {
			t.Errorf("%s: %d passed, want %d", c.name, got, c.passed)
		}
	}
}

func TestSpoolIsDailyWork(t *testing.T) {
	b := mustBrake(t, "")
	now := noon
	for range 20_000 {
		b.Grew(now, 3)
		if !b.Ask(now, 3, 203) {
			lost, peak := b.Lost()
			t.Fatalf("tripped at %v: lost %d of %d", now, lost, peak)
		}
		now = now.Add(time.Second)
	}
}

func TestAllOrNothing(t *testing.T) {
	b := mustBrake(t, "10")
	if !b.Ask(noon, 7, 100) || b.Ask(noon, 4, 93) {
		t.Fatal("7 of 10 pass, 4 more do not")
	}
	if lost, peak := b.Lost(); lost != 7 || peak != 100 {
		t.Fatal(lost, peak)
	}
	if b.Ask(noon.Add(24*time.Hour), 1, 93) {
		t.Fatal("a tripped brake waits for consent, not for time")
	}
	if !b.Ask(noon, 0, 93) {
		t.Fatal("nothing always passes")
	}
}

func TestConsent(t *testing.T) {
	b := mustBrake(t, "10")
	b.Ask(noon, 11, 100)
	b.Consent(noon, 11)
	if b.Tripped() || !b.Ask(noon.Add(time.Minute), 6, 100) || !b.Ask(noon.Add(2*time.Minute), 5, 94) {
		t.Fatal("what waited does not pass")
	}
	if !b.Ask(noon.Add(2*time.Minute), 10, 89) || b.Ask(noon.Add(2*time.Minute), 1, 79) {
		t.Fatal("after what waited, the limit counts from 0")
	}

	b.Consent(noon, 50)
	if b.Ask(noon.Add(2*time.Hour), 11, 79) {
		t.Fatal("a consent does not last")
	}
	b.Consent(noon, 50)
	if b.Ask(noon, 51, 79) || !b.Tripped() {
		t.Fatal("a consent is to no more than was shown")
	}
}

func TestUndoAndSettled(t *testing.T) {
	b := mustBrake(t, "10")
	b.Ask(noon, 10, 100)
	b.Undo(10)
	if !b.Ask(noon, 10, 100) {
		t.Fatal("what was reclaimed still counts")
	}
	if b.Ask(noon, 1, 90) {
		t.Fatal("the limit is exceeded")
	}
	b.Settled()
	if b.Tripped() || b.Ask(noon, 1, 90) {
		t.Fatal("what was lost still counts after the brake was released without consent")
	}
}

func TestUndoEarnsNothing(t *testing.T) {
	b := mustBrake(t, "10")
	b.Undo(100)
	b.Grew(noon, 100)
	b.Undo(100)
	if !b.Ask(noon, 10, 100) || b.Ask(noon, 1, 90) {
		t.Fatal("the limit is from the highest point")
	}
}

func TestClockSetBack(t *testing.T) {
	b := mustBrake(t, "10")
	b.Ask(noon, 10, 100)
	if b.Ask(noon.Add(-365*24*time.Hour), 1, 90) {
		t.Fatal("a clock set back forgets what was lost")
	}
	b.Settled()
	if b.Ask(noon.Add(-365*24*time.Hour+30*time.Minute), 1, 90) {
		t.Fatal("a clock set back forgets what was lost")
	}
	b.Settled()
	if !b.Ask(noon.Add(-365*24*time.Hour+time.Hour), 1, 90) {
		t.Fatal("a clock set back keeps the window from sliding")
	}
}

func TestBrakeGolden(t *testing.T) {
	b := mustBrake(t, "10")
	b.Grew(noon, 2)
	b.Ask(noon, 5, 100)
	b.Ask(noon.Add(time.Minute), 6, 95)
	const want = `{"version":1,"limit":"10","tripped":true,"level":-3,"steps":[[29539440,2,100],[29539441,-3,95]]}`
	if got, err := json.Marshal(b); string(got) != want || err != nil {
		t.Fatalf("%s %v", got, err)
	}
	for _, c := range []struct {
		limit   string
		tripped bool
	}{{"10", true}, {"11", false}, {"off", false}} {
		limit, _ := ParseBrake(c.limit)
		restored, err := RestoreBrake(limit, []byte(want))
		if err != nil || restored.Tripped() != c.tripped {
			t.Errorf("limit %s: %v, %v", c.limit, restored.Tripped(), err)
		}
		if lost, _ := restored.Lost(); lost != 5 {
			t.Errorf("limit %s: lost %d", c.limit, lost)
		}
	}
}

func TestRestoreBrakeRefuses(t *testing.T) {
	for _, text := range []string{
		"", "{}", `{"version":2}`, `{"version":1,"allowed":-1}`, `{"version":1,"level":9223372036854775807}`,
		`{"version":1,"steps":[[1,0,0],[1,0,0]]}`, `{"version":1,"steps":[[1,0,-1]]}`,
	} {
		if _, err := RestoreBrake(Limit{}, []byte(text)); err == nil {
			t.Errorf("%s is accepted", text)
		}
	}
}

func FuzzRestoreBrake(f *testing.F) {
	f.Add([]byte(`{"version":1,"limit":"10","tripped":true,"level":-3,"steps":[[29539440,2,100],[29539441,-3,95]]}`))
	f.Fuzz(func(t *testing.T, state []byte) {
		b, err := RestoreBrake(Limit{}, state)
		if err != nil {
			return
		}
		b.Ask(noon, 1, 1)
		b.Grew(noon.Add(-time.Hour), 1)
		b.Undo(1)
		first, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		again, err := RestoreBrake(Limit{}, first)
		if err != nil {
			t.Fatalf("%s: %v", first, err)
		}
		if second, _ := json.Marshal(again); !bytes.Equal(first, second) {
			t.Errorf("%s became %s", first, second)
		}
	})
}

// brakeModel is the brake as its documentation says it, with every change kept.
type brakeModel struct {
	limit   Limit
	tripped bool
	level   int64
	changes []modelChange // the level before and after, and the total, of each minute's calls
}

type modelChange struct{ minute, high, total int64 }

func (m *brakeModel) at(minute int64) (lost, peak int64) {
	high := m.level
	for _, c := range m.changes {
		if c.minute > minute-60 {
			high, peak = max(high, c.high), max(peak, c.total)
		}
	}
	return high - m.level, peak
}

// TestBrakeModel: any sequence of calls, with restarts between them, is answered as by the model, and what
// passes without consent never exceeds the limit.
func TestBrakeModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit, _ := ParseBrake(rapid.SampledFrom([]string{"", "5", "50", "30%", "0", "off"}).Draw(t, "limit"))
		b, m := NewBrake(limit), &brakeModel{limit: limit}
		now := noon
		t.Repeat(map[string]func(*rapid.T){
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 2000).Draw(t, "seconds")) * time.Second)
			},
			"ask": func(t *rapid.T) {
				n, total := rapid.IntRange(1, 800).Draw(t, "n"), rapid.Int64Range(0, 4000).Draw(t, "total")
				minute := now.Unix() / 60
				m.changes = append(m.changes, modelChange{minute, m.level, total})
				lost, peak := m.at(minute)
				m.tripped = m.tripped || limit.exceeded(lost+int64(n), peak)
				if !m.tripped && limit.form != limitOff {
					m.level -= int64(n)
				}
				if got := b.Ask(now, n, total); got == m.tripped {
					t.Fatalf("ask %d of %d: %v", n, total, got)
				}
			},
			"grow": func(t *rapid.T) {
				n := rapid.IntRange(0, 100).Draw(t, "n")
				b.Grew(now, n)
				m.changes = append(m.changes, modelChange{now.Unix() / 60, m.level, 0})
				m.level += int64(n)
				m.changes = append(m.changes, modelChange{now.Unix() / 60, m.level, 0})
			},
			"consent": func(t *rapid.T) {
				b.Consent(now, 0)
				*m = brakeModel{limit: limit}
			},
			"settled": func(t *rapid.T) {
				b.Settled()
				m.tripped = false
			},
			"restart": func(t *rapid.T) {
				state, err := json.Marshal(b)
				if err == nil {
					b, err = RestoreBrake(limit, state)
				}
				if err != nil {
					t.Fatal(err)
				}
			},
			"": func(t *rapid.T) {
				if b.Tripped() != m.tripped {
					t.Fatalf("tripped %v, want %v", b.Tripped(), m.tripped)
				}
			},
		})
	})
}
