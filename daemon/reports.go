package daemon

import (
	"bufio"
	"os"
	"strconv"
	"strings"
)

// report is what an engine tells of its end.
type report struct {
	behind []string // nil in the last report
	status int      // in the last report
}

// read passes the engine's reports on.
func (s *supervisor) read(reports *os.File) {
	defer reports.Close()
	defer close(s.reported)
	lines := bufio.NewScanner(reports)
	for lines.Scan() {
		s.reported <- parseReport(lines.Text(), s.options.Targets)
	}
}

func parseReport(line string, targets []string) (r report) {
	what, rest, _ := strings.Cut(line, " ")
	if what == reportExit {
		r.status, _ = strconv.Atoi(rest)
		return r
	}
	r.behind = []string{}
	for _, number := range strings.Fields(rest) {
		if n, err := strconv.Atoi(number); err == nil && n < len(targets) {
			r.behind = append(r.behind, targets[n])
		}
	}
	return r
}
