package weirtest

import (
	"time"

	"github.com/weirfs/weir"
)

// scans has a filter with Scans miss something, and waits for it to look.
func (c *trial) scans() {
	if !c.filter().Scans {
		return
	}
	v := c.Mount("/v")
	c.operate(v)
	c.Lose(v)
	if err := c.Detach(c.name, "", v); err == nil {
		time.Sleep(soon)
		c.Must(c.Attach(c.name, "", v))
	}
	time.Sleep(time.Hour)
	for _, g := range c.Gaps(c.name, v) {
		if g.Open() {
			c.fault("it has Scans, and what was missed (%s) is not looked for within an hour: call Host.Scanned when a scan has succeeded; "+
				"a volume in memory has no descriptor, so the scan itself is given to the filter by its test", g.Cause)
		}
	}
}

// connects has programs come to the port, and leave, and the filter unloaded under them.
func (c *trial) connects() {
	if c.filter().Connect == nil {
		return
	}
	c.Mount("/v")
	first, err := c.Connect(c.name, weir.Peer{PID: 1})
	if err != nil {
		return // it has the right to refuse
	}
	first.hangUp()
	time.Sleep(soon)
	if !first.Over() {
		c.fault("Connect still runs %v after the program has hung up: it has to return when its ctx ends", soon)
	}
	second, err := c.Connect(c.name, weir.Peer{PID: 2})
	c.unload()
	if err == nil && !second.Over() {
		c.fault("Connect still runs when the filter has been unloaded: it has to return when its ctx ends")
	}
}
