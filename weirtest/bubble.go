package weirtest

import (
	"regexp"
	"runtime"
	"strings"
)

// bubble is how the runtime names a bubble in the first line of a goroutine's stack.
var bubble = regexp.MustCompile(`^goroutine \d+ \[[^]]*(synctest bubble \d+)`)

// machinery tells whether a goroutine is one that keeps the bubble.
func machinery(stack string) bool {
	return strings.Contains(stack, "testingSynctestTest(") || strings.Contains(stack, "internal/synctest.Run(")
}

// others returns the stacks of the goroutines in the caller's bubble that it, or another one, has started.
func others() (stacks []string) {
	buffer := make([]byte, 1<<20)
	all := strings.Split(string(buffer[:runtime.Stack(buffer, true)]), "\n\n")
	own := bubble.FindStringSubmatch(all[0])
	for _, stack := range all[1:] {
		in := bubble.FindStringSubmatch(stack)
		if own != nil && in != nil && in[1] == own[1] && !machinery(stack) {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}
