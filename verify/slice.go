package verify

import (
	"runtime"
	"strings"
	"weak"

	"github.com/weirfs/weir"
)

// shownLocked notes what the last call of Completed was shown, so that it can be told at the end whether the filter has it still.
func (in *instance) shownLocked(operations []weir.Operation) {
	if len(operations) > 0 {
		in.shown = weak.Make(&operations[0])
	}
}

// checkKept reports a filter that has a slice of Completed still. No callback runs that has got it.
func (in *instance) checkKept() {
	in.mu.Lock()
	shown := in.shown
	in.mu.Unlock()
	if !in.verifier.options.Slices || shown.Value() == nil {
		return
	}
	runtime.GC()
	if shown.Value() != nil {
		in.report(keptSlice, nil, "Completed has kept its slice, or a pointer into it")
	}
}

// withOperations tells whether the caller runs inside a callback with operations, on its goroutine.
func withOperations() bool {
	var pcs [256]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		frame, more := frames.Next()
		for _, callback := range []string{"(*instance).Completed", "(*intercepting).Pre", "(*intercepting).Post"} {
			if strings.HasSuffix(frame.Function, "weir/verify."+callback) {
				return true
			}
		}
		if !more {
			return false
		}
	}
}
