package weirtest

import (
	"strings"

	"github.com/weirfs/weir"
)

// several has two instances on a volume, as a manifest may have it, and takes each of them away from beside the other.
func (c *trial) several() {
	f := c.filter()
	if f.Single || len(f.Definitions()) > 1 {
		return // more than its own are not for it; several of its own are there under every other rule
	}
	c.unload()
	first := f.Definitions()[0]
	f.Instances = []weir.Definition{first, {Name: first.Name + " too", Altitude: above(first.Altitude)}}
	if err := c.Load(f); err != nil {
		c.fault("it cannot be loaded with two instances: %v; set Single if it cannot have that", err)
		return
	}
	v := c.Mount("/v")
	for _, d := range f.Instances {
		c.operate(v)
		if err := c.Detach(c.name, d.Name, v); err == nil {
			c.operate(v)
			c.Must(c.Attach(c.name, d.Name, v))
		}
	}
	c.operate(v)
	c.Settle()
	if n := c.Manager.Snapshot().Filter(c.name).Stats.Failures; n > 0 {
		c.fault("%d callbacks have failed with two instances on one volume; set Single if it cannot have that", n)
	}
	c.unload()
}

// above returns an altitude that is hardly above another.
func above(a weir.Altitude) weir.Altitude {
	text := a.String()
	if !strings.Contains(text, ".") {
		text += "."
	}
	return weir.MustAltitude(text + "01")
}
