package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/voltest"
)

// TestDetachedVolumeIsListed unmounts a volume lazily while a file on it is open, and mounts it again.
func TestDetachedVolumeIsListed(t *testing.T) {
	s := newStage(t)
	source := voltest.New(t, "ext4")
	s.source = source.Dir
	at := filepath.Join(source.Dir, "m")
	nested := voltest.New(t, "ext4", voltest.At(at))
	p := startWeir(t, s.args()...)
	p.says(`msg="in sync"`, 4)
	id := number(t, at)
	file, err := os.Create(filepath.Join(at, "open"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	nested.Lazy()
	p.says(`msg="source absent"`, 2)
	asked(t, 0, "volumes", `\n`+id+` +ext4 +`+nested.Device+` +- +- +detached +-\n`,
		`\nvolume `+id+`, detached since .*: it was at `+at+`, and lives on while something on it is open; what is written to it is not seen\n`)
	asked(t, 0, "volumes --json", `"detached":\[.*{"info":{"id":`+id+`,`)
	nested.Mount()
	p.says(`msg="in sync"`, 6)
	asked(t, 0, "volumes", `\nvolume `+number(t, at)+`, which was volume `+id+`: it lived on while it was mounted nowhere\n`)
	p.signal(unix.SIGINT)
	p.ends(0, 10*time.Second)
	asked(t, 0, "volumes --json", `"detached":\[\]`)
}
