package main

import "time"

// meterSpan is the time over which a rate is told: what is limited is read in pieces, with pauses between them.
const meterSpan = 2 * time.Second

// meter makes a rate of a total that is read now and then. Its zero value is ready for use.
type meter struct{ readings []reading }

type reading struct {
	at    time.Time
	bytes int64
}

// rate takes another reading, and returns the bytes a second since one that is about as old as the span, or since the
// first.
func (m *meter) rate(at time.Time, bytes int64) int64 {
	m.readings = append(m.readings, reading{at, bytes})
	for len(m.readings) > 1 && at.Sub(m.readings[1].at) >= meterSpan {
		m.readings = m.readings[1:]
	}
	first := m.readings[0]
	took := at.Sub(first.at)
	if took <= 0 {
		return 0
	}
	return int64(float64(bytes-first.bytes) / took.Seconds())
}
