//go:build race

package topology

// raceEnabled makes the explorations smaller: the detector slows pure code, which it
// has nothing to find in, by an order of magnitude.
const raceEnabled = true
