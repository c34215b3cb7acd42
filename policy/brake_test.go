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

// TestWhatComesMakesUp: what waits passes when no more would be lost by now if it had gone at once.
func TestWhatComesMakesUp(t *testing.T) {
	b := mustBrake(t, "10")
	b.Ask(noon, 4, 100)
	if b.Ask(noon, 20, 96) || b.MadeUp(20, 96) {
		t.Fatal("20 of 10 pass")
	}
	b.Grew(noon.Add(time.Minute), 13)
	if b.MadeUp(20, 109) || !b.MadeUp(19, 109) {
		t.Fatal("of 4 and 20, less 13, 11 are lost")
	}
	b.Grew(noon.Add(59*time.Minute), 1)
	if !b.MadeUp(20, 110) || b.Ask(noon.Add(59*time.Minute), 1, 110) {
		t.Fatal("the brake lets go when it is released, and not before")
	}
	b.Release(noon.Add(59*time.Minute), 20)
	if !b.Ask(noon.Add(59*time.Minute), 12, 110) || !b.Ask(noon.Add(59*time.Minute), 8, 98) {
		t.Fatal("what waited does not pass")
	}
	if lost, _ := b.Lost(); lost != 10 || b.Ask(noon.Add(59*time.Minute), 1, 90) {
		t.Fatalf("%d are lost", lost)
	}
}

// TestTimeMakesUpForNothing: neither what was lost before, nor what comes long after, is another when an hour has passed.
func TestTimeMakesUpForNothing(t *testing.T) {
	b := mustBrake(t, "10")
	b.Ask(noon, 10, 100)
	b.Ask(noon, 5, 90)
	b.Grew(noon.Add(30*time.Minute), 4)
	b.Grew(noon.Add(Window), 1000)
	if b.Ask(noon.Add(24*time.Hour), 1, 90) || b.MadeUp(5, 90) {
		t.Fatal("a tripped brake lets go by itself")
	}
}

// TestReleaseIsForWhatWaited: if more is to go than was made up for, what has not gone yet waits with it, and what has
// come already makes up for nothing twice.
func TestReleaseIsForWhatWaited(t *testing.T) {
	b := mustBrake(t, "10")
	b.Ask(noon, 20, 100)
	b.Grew(noon, 15)
	b.Release(noon, 20)
	if !b.Ask(noon, 8, 115) || b.Ask(noon, 18, 107) {
		t.Fatal("12 wait, and 5 may go besides")
	}
	b.Grew(noon, 7)
	if b.MadeUp(18, 114) {
		t.Fatal("11 of 18 are too many")
	}
	b.Grew(noon, 1)
	if !b.MadeUp(18, 115) {
		t.Fatal("what comes then does not count")
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
	minute  int64 // of the last look; that stands still while the brake has tripped
	level   int64
	came    int64
	allowed int64
	until   int64
	changes []modelChange // the level before and after, and the total, of each minute's calls
}

type modelChange struct{ minute, high, total int64 }

func (m *brakeModel) look(minute, total int64) (lost, peak int64) {
	m.minute = minute
	m.note(total)
	return m.lost()
}

func (m *brakeModel) note(total int64) {
	m.changes = append(m.changes, modelChange{m.minute, m.level, total})
}

func (m *brakeModel) lost() (lost, peak int64) {
	high := m.level
	for _, c := range m.changes {
		if c.minute > m.minute-60 {
			high, peak = max(high, c.high), max(peak, c.total)
		}
	}
	return high - m.level, peak
}

func (m *brakeModel) ask(minute, n, total int64) bool {
	if m.limit.form == limitOff || m.tripped {
		return !m.tripped
	}
	lost, peak := m.look(minute, total)
	free := int64(0)
	if minute <= m.until {
		free = min(n, m.allowed)
	}
	if free < n && m.limit.exceeded(lost+n-free, peak) {
		m.level += m.allowed
		m.tripped, m.came, m.allowed = true, 0, 0
		m.note(0)
		return false
	}
	m.allowed -= free
	m.level -= n - free
	return true
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
				if got, want := b.Ask(now, n, total), m.ask(now.Unix()/60, int64(n), total); got != want {
					t.Fatalf("ask %d of %d: %v", n, total, got)
				}
			},
			"grow": func(t *rapid.T) {
				n := rapid.IntRange(0, 400).Draw(t, "n")
				b.Grew(now, n)
				switch minute := now.Unix() / 60; {
				case !m.tripped:
					m.look(minute, 0)
					m.level += int64(n)
					m.note(0)
				case minute < m.minute+60:
					m.came += int64(n)
				}
			},
			"made up": func(t *rapid.T) {
				n, total := rapid.Int64Range(1, 800).Draw(t, "n"), rapid.Int64Range(0, 4000).Draw(t, "total")
				lost, peak := m.lost()
				made := m.tripped && !limit.exceeded(lost+n-m.came, max(peak, total))
				if got := b.MadeUp(n, total); got != made {
					t.Fatalf("%d of %d are made up for: %v", n, total, got)
				}
				if !made {
					return
				}
				b.Release(now, n)
				m.level += m.came - n
				m.note(0)
				m.tripped, m.allowed, m.until = false, n, now.Unix()/60+60
				m.look(now.Unix()/60, 0)
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
