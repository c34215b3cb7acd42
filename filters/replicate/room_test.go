package replicate

import (
	"testing"
	"time"
)

// TestUselessAttempt looks at a file of 80 MB for which 50 MB were free.
func TestUselessAttempt(t *testing.T) {
	const mega = 1 << 20
	start := time.Unix(1000, 0)
	last := attempt{count: 1, begun: start, needs: 80 * mega, free: 50 * mega}.failed(start.Add(time.Second))
	for what, c := range map[string]struct {
		after       time.Duration
		needs, free int64
		useless     bool
	}{
		"nothing has changed":       {2 * time.Second, 80 * mega, 50 * mega, true},
		"a little was removed":      {2 * time.Second, 80 * mega, 59 * mega, true},
		"much was removed":          {2 * time.Second, 80 * mega, 60 * mega, false},
		"it fits":                   {2 * time.Second, 80 * mega, 80 * mega, false},
		"the file has grown":        {2 * time.Second, 90 * mega, 50 * mega, true},
		"the file was cut short":    {2 * time.Second, 70 * mega, 50 * mega, false},
		"less than ten copies long": {10 * time.Second, 80 * mega, 50 * mega, true},
		"long enough":               {11 * time.Second, 80 * mega, 50 * mega, false},
	} {
		if got := last.useless(start.Add(c.after), c.needs, c.free); got != c.useless {
			t.Errorf("%s: %v", what, got)
		}
	}
	fitted := attempt{count: 1, begun: start, needs: 80 * mega, free: 90 * mega}.failed(start)
	if !fitted.useless(start.Add(time.Second), 80*mega, 90*mega) || fitted.useless(start.Add(5*time.Second), 80*mega, 90*mega) {
		t.Error("what should have fitted, and did not, is not tried again in 5 seconds")
	}
}
