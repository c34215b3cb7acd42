package main

import (
	"fmt"
	"strings"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate"
)

// view is the live view: totals, then a line for each replica, then what needs attention.
func view(s replicate.Status, rate int64) []string {
	lines := []string{fmt.Sprintf("%d files copied, %s read, %s written, %s/s", s.Copied, size(s.Read), size(s.Written), size(rate))}
	for _, u := range s.Units {
		line := fmt.Sprintf("  %-13s %s -> %s  %d files", u.Phase, weir.QuotePath(u.Place), weir.QuotePath(u.Target), u.Files)
		if u.Backlog > 0 {
			line += fmt.Sprintf(", backlog %d", u.Backlog)
		}
		if u.Lag != "" {
			line += ", lag " + u.Lag
		}
		if u.Sight != "" {
			line += fmt.Sprintf(", %s every %s", u.Sight, u.Scan)
		}
		lines = append(lines, line+because(u))
	}
	for _, t := range s.Targets {
		if len(t.Missing) > 0 {
			lines = append(lines, fmt.Sprintf("  %s cannot store %s", weir.QuotePath(t.Path), strings.Join(t.Missing, ", ")))
		}
	}
	const most = 5
	for i, problem := range s.Problems {
		if i == most {
			lines = append(lines, "  "+andMore(len(s.Problems)-most, s.More))
			break
		}
		lines = append(lines, fmt.Sprintf("  ! %s: %s", weir.QuotePath(problem.Path), problem.Reason))
	}
	return lines
}

// andMore counts the problems that are not shown: some that are listed, and such of which no more than about their
// number is known.
func andMore(listed int, more int64) string {
	if more > 0 {
		return fmt.Sprintf("and about %d more", int64(listed)+more)
	}
	return fmt.Sprintf("and %d more", listed)
}

// because says why a replica is as it is, and what helps.
func because(u replicate.UnitStatus) (text string) {
	if u.Reason != "" {
		text = ": " + u.Reason
	}
	if u.Todo != "" {
		text += "; " + u.Todo
	}
	return text
}

// size prints bytes for people.
func size(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/1024, 0
	for f >= 1024 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	return fmt.Sprintf("%.1f %ciB", f, units[i])
}
