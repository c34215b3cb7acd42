package daemon

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weirfs/weir/filters/replicate"
	"github.com/weirfs/weir/internal/voltest"
)

// bare has a volume replicated that is mounted at a path below the source, and takes it away.
func (s *scene) bare(kind, rel string) *voltest.Volume {
	s.t.Helper()
	v := voltest.New(s.t, kind, voltest.At(mkdir(s.t, s.in(rel))))
	write(s.t, filepath.Join(v.Dir, "n1"), "1")
	write(s.t, filepath.Join(v.Dir, "n2"), "2")
	s.begin()
	s.alike()
	v.Unmount()
	s.awaitPhase(s.in(rel), replicate.PhaseSourceAbsent)
	return v
}

// comesBack mounts a volume at a path below the source.
func (s *scene) comesBack(v *voltest.Volume, rel string) {
	s.t.Helper()
	v.MountAt(s.in(rel))
	s.awaitPhase(s.in(rel), replicate.PhaseInSync)
	s.awaitText(s.at(filepath.Join(rel, "n1")), "1")
}

// isOnly waits until a path is the only one that is told of a place whose volume is away.
func (s *scene) isOnly(rel string) {
	s.t.Helper()
	s.await("only "+rel+" to be away", func() bool {
		away := slices.DeleteFunc(s.m.Status().Units, func(u replicate.UnitStatus) bool { return u.Phase != replicate.PhaseSourceAbsent })
		return len(away) == 1 && away[0].Place == s.in(rel)
	})
}

// TestBareMountPointIsRenamed renames the mount point of a volume that is away, and directories above it: the place and its
// replica go along, what lies there is told, and the volume is at home there.
func TestBareMountPointIsRenamed(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "xfs", fallback)
		v := s.bare("ext4", "dir/mnt")
		rename(t, s.in("dir"), s.in("dir2"))
		s.isOnly("dir2/mnt")
		write(t, s.in("dir2/mnt/x"), "x")
		s.awaitBeneath("dir2/mnt", true)
		rename(t, s.in("dir2/mnt"), s.in("dir2/old"))
		s.isOnly("dir2/old")
		s.awaitBeneath("dir2/old", true)
		write(t, filepath.Join(mkdir(t, s.in("dir2/mnt")), "y"), "y")
		s.awaitText(s.at("dir2/mnt/y"), "y")
		s.awaitText(s.at("dir2/old/n1"), "1")
		s.end()

		t.Log("and while weir does not run")
		rename(t, s.in("dir2"), s.in("dir3"))
		rename(t, s.in("dir3/old"), s.in("mnt"))
		if told, _ := told(t, s.o); len(told[replicate.ActHold]) != 1 || told[replicate.ActHold][0] != "mnt" || len(told[replicate.ActAside])+len(told[replicate.ActCopy]) > 0 {
			t.Errorf("a dry run tells %v", told)
		}
		s.begin()
		s.isOnly("mnt")
		s.awaitBeneath("mnt", true)
		s.awaitText(s.at("mnt/n2"), "2")
		s.comesBack(v, "mnt")
		s.alike()
		v.Unmount()
		s.awaitBeneath("mnt", true)
		s.end()
		s.o.Forget = []string{s.in("mnt")}
		s.begin()
		s.alike()
		s.end()
	})
}

// TestVolumeIsMountedWhereItsMountPointWas renames the mount point of a volume that is away, and mounts the volume at a
// directory that was made where that was: it is copied there, and the former place stays until somebody gives it up.
func TestVolumeIsMountedWhereItsMountPointWas(t *testing.T) {
	for _, running := range []bool{true, false} {
		t.Run(map[bool]string{true: "while weir runs", false: "while it does not"}[running], func(t *testing.T) {
			eachDiscovery(t, func(t *testing.T, fallback bool) {
				s := newScene(t, "xfs", "ext4", fallback)
				v := s.bare("xfs", "dir/mnt")
				if !running {
					s.end()
				}
				rename(t, s.in("dir"), s.in("dir2"))
				write(t, s.in("dir2/mnt/x"), "x")
				v.MountAt(s.in("dir/mnt"))
				if !running {
					if told, _ := told(t, s.o); !slices.Equal(told[replicate.ActHold], []string{"dir2/mnt"}) || len(told[replicate.ActAside]) > 0 {
						t.Errorf("a dry run tells %v", told)
					}
					s.begin()
				}
				s.awaitPhase(s.in("dir/mnt"), replicate.PhaseInSync)
				s.equalBut(s.src, s.dst, func(path string) bool { return path == "dir2/mnt" })
				s.isOnly("dir2/mnt")
				s.awaitBeneath("dir2/mnt", true)
				s.awaitText(s.at("dir2/mnt/n1"), "1")
				s.end()
				if told, _ := told(t, s.o); !slices.Equal(told[replicate.ActHold], []string{"dir2/mnt"}) || len(told[replicate.ActAside])+len(told[replicate.ActCopy]) > 0 {
					t.Errorf("a dry run afterwards tells %v", told)
				}
				s.o.Forget = []string{s.in("dir2/mnt")}
				s.begin()
				s.alike()
				s.end()
				if kept := s.aside("dir2/mnt/n1"); len(kept) != 1 {
					t.Errorf("set aside: %q", kept)
				}
			})
		})
	}
}

// told collects what a dry run tells, by what it would do.
func told(t *testing.T, o Options) (map[replicate.Act][]string, []replicate.Total) {
	t.Helper()
	list := make(map[replicate.Act][]string)
	totals, err := DryRun(t.Context(), o, func(c replicate.Change) { list[c.Act] = append(list[c.Act], c.Path) })
	if err != nil {
		t.Fatal(err)
	}
	return list, totals
}

// TestBareMountPointIsRemoved removes the mount point of a volume that is away, has it made anew, and renames what was made.
func TestBareMountPointIsRemoved(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "ext4", fallback)
		v := s.bare("ext4", "dir/mnt")
		write(t, s.in("dir/mnt/x"), "x")
		s.awaitBeneath("dir/mnt", true)
		remove(t, s.in("dir/mnt"))
		s.awaitBeneath("dir/mnt", false)
		s.await("a word on the mount point", func() bool {
			u := s.unit(s.in("dir/mnt"), s.dst)
			return u.Reason == "there is no such directory" && strings.HasPrefix(u.Todo, "make the directory and mount it")
		})
		mkdir(t, s.in("dir/mnt"))
		write(t, s.in("dir/made"), "anew")
		s.awaitText(s.at("dir/made"), "anew")
		rename(t, s.in("dir/mnt"), s.in("dir/later"))
		s.isOnly("dir/later")
		write(t, s.in("dir/later/x"), "x")
		s.awaitBeneath("dir/later", true)
		s.awaitText(s.at("dir/later/n1"), "1")

		t.Log("again, all at once")
		remove(t, s.in("dir/later"))
		mkdir(t, s.in("dir/later"))
		rename(t, s.in("dir/later"), s.in("dir/last"))
		write(t, s.in("dir/last/y"), "y")
		s.await("what is told", func() bool {
			_, any := s.beneath("dir/last")
			_, err := os.Stat(s.at("dir/last/y"))
			return any != (err == nil) // It is an ordinary directory, or the mount point.
		})
		s.comesBack(v, "dir/later")
		s.end()
	})
}

// TestMountPointLeavesTheSource moves the mount point of a volume that is away out of the source, has the volume mounted
// at another directory of that name, and brings the former one back: it is a directory like any other then.
func TestMountPointLeavesTheSource(t *testing.T) {
	eachDiscovery(t, func(t *testing.T, fallback bool) {
		s := newScene(t, "ext4", "xfs", fallback)
		v := s.bare("ext4", "dir/mnt")
		out := filepath.Join(s.from.Dir, "out")
		rename(t, s.in("dir"), out)
		s.await("the directory to leave", func() bool { return absent(s.at("dir")) })
		s.comesBack(v, "dir/mnt")
		write(t, filepath.Join(out, "mnt/x"), "x")
		rename(t, out, s.in("back"))
		s.awaitText(s.at("back/mnt/x"), "x")
		s.alike()
		s.end()
	})
}

// TestSecondTargetMissesWhatBecomesOfTheMountPoint has one of two targets be away while the mount point of a volume is
// renamed, removed and made anew.
func TestSecondTargetMissesWhatBecomesOfTheMountPoint(t *testing.T) {
	s := newScene(t, "ext4", "xfs", false)
	second := voltest.New(t, "ext4")
	other := mkdir(t, filepath.Join(second.Dir, "o"))
	s.o.Targets = append(s.o.Targets, other)
	v := s.bare("ext4", "dir/mnt")
	second.Unmount()
	rename(t, s.in("dir/mnt"), s.in("dir/moved"))
	s.await("the replica to follow", func() bool { return absent(s.at("dir/mnt")) })
	remove(t, s.in("dir/moved"))
	s.comesBack(v, "dir/moved")
	second.Mount()
	s.equal(s.src, other)
	s.alike()
	s.end()
}
