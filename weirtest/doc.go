// Package weirtest tests filters: on volumes in memory, with the whole manager around them, in a time of their own.
//
//	func TestTally(t *testing.T) {
//		weirtest.Run(t, func(w *weirtest.World) {
//			w.Must(w.Load(tally.New().Filter()))
//			v := w.Mount("/data")
//			w.Must(v.Create("a"), v.Write("a"), v.Remove("a"))
//			w.Want("tally", v, "attached")
//		})
//	}
//
// [Run] gives a test a [World]. It mounts volumes and does operations on them, which are both observed and intercepted;
// it loads, attaches, detaches and unloads; it has planes and set-ups fail or hang. [Conform] holds a filter to the rules
// that every filter has to keep to. In both the verifier watches: a rule that is broken fails the test.
//
// # Time and goroutines
//
// A world is a bubble of package testing/synctest. Its clock stands still while anything runs, and jumps when everything
// waits: time.Sleep takes no time, and a test never waits for what does not come. What the filter starts is in the bubble
// too, and has to be gone at its end. A filter that does input and output of its own does not wait for that in the sense of
// a bubble; give it what it needs in memory.
//
// Methods of World are called from the goroutine of the test, or by what [World.Begin] has begun: so an unloading can be in
// progress while the test goes on. What is made outside of Run is not of its time: a channel or a timer of a filter that was
// made there blocks for ever, without a word, and the Context of the testing.T outside ends the test. Make the filter inside,
// if it has any, and use [World.Context].
package weirtest
