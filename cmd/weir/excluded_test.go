package main

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir/internal/voltest"
)

// TestExcludedVolumeIsTold goes through the commands that say that the administrator has excluded a volume.
func TestExcludedVolumeIsTold(t *testing.T) {
	s := newStage(t)
	source := voltest.New(t, "ext4")
	s.source = source.Dir
	scratch := voltest.New(t, "ext4", voltest.At(source.Dir+"/scratch"), voltest.Mkfs("-L", "scratch"))
	p := startWeir(t, s.args("--exclude-volume", "LABEL=scratch")...)
	p.says(`msg="in sync"`, 2)
	p.says(`reason="left out by --exclude-volume LABEL=scratch"`, 1)

	const by = `by the administrator: --exclude-volume LABEL=scratch, since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\n`
	id := number(t, scratch.Dir)
	asked(t, 0, "coverage", `ext4 +excluded +`+scratch.Dir, `volume `+id+`: replicate excluded: `+by,
		`\n1 volume is excluded\neverything that should be covered is\n`)
	asked(t, 0, "coverage --json", `"excluded":1,`, `{"state":"excluded","why":"by the administrator: --exclude-volume LABEL=scratch","since":"`)
	asked(t, 0, "volumes", `full, excluded +`+scratch.Dir, `volume `+id+`, excluded: `+by)
	asked(t, 0, "instances --all", `replicate excluded: by the administrator: --exclude-volume LABEL=scratch\n`)
	asked(t, 1, "explain "+scratch.Dir, `would NOT be seen: replicate is excluded: `+by)
	asked(t, 2, "attach replicate "+id, "the filter declines: the volume is left out by --exclude-volume LABEL=scratch")
	p.signal(unix.SIGINT)
	p.ends(0, 10*time.Second)
}

func TestExcludeVolumeIsRead(t *testing.T) {
	for spec, why := range map[string]string{
		"":           "it is empty, as if from a variable that is not set",
		"scratch":    "it is no absolute path, and has no =",
		"PARTUUID=1": "there is no key PARTUUID",
		"LABEL=":     "nothing stands behind the =",
	} {
		status, out, errs := weirRun("mirror", "--exclude-volume", spec, "/s", "/t")
		if status != 2 || out != "" || !strings.Contains(errs, "use --exclude-volume") || !strings.Contains(errs, why) {
			t.Errorf("%q: exit status %d\n%s%s", spec, status, out, errs)
		}
	}
}
