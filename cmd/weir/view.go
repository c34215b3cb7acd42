package main

import (
	"fmt"
	"strings"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate"
)

// view is the live view for so many columns: totals, then what is said of each replica, then what needs attention. What
// matters most comes first in each line, and paths are shortened to fit.
func view(s replicate.Status, rate int64, columns int) []string {
	lines := []string{fmt.Sprintf("%s copied, %s/s, %s read, %s written", plural(s.Copied, "file"), size(rate), size(s.Read), size(s.Written))}
	for _, u := range s.Units {
		lines = append(lines, viewUnit(u, columns)...)
	}
	for _, t := range s.Targets {
		if len(t.Missing) > 0 {
			lines = append(lines, fmt.Sprintf("  %s cannot store %s", shorten(weir.QuotePath(t.Path), columns/3), strings.Join(t.Missing, ", ")))
		}
	}
	const most = 5
	for i, problem := range s.Problems {
		if i == most {
			lines = append(lines, "  "+andMore(len(s.Problems)-most, s.More))
			break
		}
		lines = append(lines, fmt.Sprintf("  ! %s: %s", between(problem.Path, problem.Target, columns/2), problem.Reason))
	}
	return lines
}

// viewUnit tells of a replica, and in a second line why it is as it is.
func viewUnit(u replicate.UnitStatus, columns int) []string {
	line := fmt.Sprintf("  %-13s %s", u.Phase, plural(u.Files, "file"))
	if u.Backlog > 0 {
		line += fmt.Sprintf(", backlog %d", u.Backlog)
	}
	if u.Lag != "" {
		line += ", lag " + u.Lag
	}
	line += "  "
	line += between(u.Place, u.Target, max(columns-len(line), columns/3))
	if u.Sight != "" {
		line += fmt.Sprintf(", %s every %s", u.Sight, u.Scan)
	}
	if why := because(u); why != "" {
		return []string{line, "    " + strings.TrimLeft(why, ":; ")}
	}
	return []string{line}
}

// between names two paths in so many columns, if that many are enough for a part of each.
func between(from, to string, columns int) string {
	const arrow, least = " -> ", 5
	from, to = weir.QuotePath(from), weir.QuotePath(to)
	room := max(columns-len(arrow), 2*least)
	shorter := shorten(to, max(room/2, room-len(from)))
	return shorten(from, max(room/2, room-len(shorter))) + arrow + shorter
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

// plural is so many things, in words.
func plural(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
