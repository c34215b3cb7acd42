package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/voltest"
)

// TestHeldPlacesAreTold has a nested volume leave, and another one come in its place.
func TestHeldPlacesAreTold(t *testing.T) {
	s := newStage(t)
	source := voltest.New(t, "ext4")
	s.source = source.Dir
	at := filepath.Join(source.Dir, "photos")
	nested := voltest.New(t, "ext4", voltest.At(at))
	if err := os.WriteFile(filepath.Join(at, "f"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	p := startWeir(t, s.args()...)
	p.says(`msg="in sync"`, 4)
	asked(t, 0, "coverage", `ext4 +attached +`+at)
	asked(t, 0, "explain "+at+"/f", "would be seen")

	nested.Unmount()
	p.says(`msg="source absent"`, 2)
	asked(t, 0, "coverage", `replicate attached: `+at+": this is the bare mount point of a volume that is away: .*; mount it: .*--forget "+at, "everything that should be covered is")
	asked(t, 1, "explain "+at, "would NOT be seen: replicate does nothing there: "+at+": this is the bare mount point")
	asked(t, 0, "explain "+source.Dir, "would be seen", `attached\n`)

	voltest.New(t, "ext4", voltest.At(at))
	p.says(`msg=held`, 2)
	asked(t, 1, "coverage", `ext4 +held +`+at, `ext4 +attached +`+source.Dir+`\n`, "NOT COVERED:\n .*replicate is held: "+at+": .*--replaced merge")
	asked(t, 1, "explain "+at, "would NOT be seen: replicate is held: "+at+": ", "observed by fanotify")
	asked(t, 0, "instances", `replicate +\d+ +309999 +replicate +0 +held +`+at)
	asked(t, 1, "coverage --json", `"state":"held","why":".*","fault":true`)
	asked(t, 0, "detach replicate "+at, "is detached")
	asked(t, 0, "attach replicate "+at, "is attached to volume", "it is held: "+at+": .*--replaced merge")
	p.signal(unix.SIGINT)
	p.ends(0, 10*time.Second)
}
