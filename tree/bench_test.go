package tree

import (
	"fmt"
	"testing"

	"github.com/weirfs/weir/internal/sys/at"
	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/replica"
)

func BenchmarkListAndLookup(b *testing.B) {
	for _, fs := range []string{"ext4", "xfs", "btrfs", "tmpfs"} {
		b.Run(fs, func(b *testing.B) {
			d := root(b, voltest.New(b, fs, voltest.Size(512<<20)).Dir)
			const count = 20000
			for i := range count {
				must(b, d.Mknod(fmt.Sprint("file-", i), replica.TypeFile|0o600, 0))
			}
			for b.Loop() {
				must(b, d.List(func(name string, _ uint32) error {
					_, err := d.Lookup(name)
					return err
				}))
			}
			b.ReportMetric(float64(count)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

func BenchmarkXattrsOfNone(b *testing.B) {
	d := root(b, voltest.New(b, "ext4").Dir)
	must(b, d.Mknod("file", replica.TypeFile|0o600, 0))
	for b.Loop() {
		if _, err := d.Xattrs("file"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSmallFile(b *testing.B) {
	for _, fs := range []string{"ext4", "xfs", "btrfs", "tmpfs"} {
		b.Run(fs, func(b *testing.B) {
			source := root(b, voltest.New(b, "ext4").Dir)
			target := root(b, voltest.New(b, fs, voltest.Size(2<<30)).Dir)
			f := got[*File](b)(source.CreateTemp("file"))
			got[int](b)(f.WriteAt(make([]byte, 4096), 0))
			must(b, at.Chown(f.FD(), 1000, 1000))
			must(b, at.ChmodOpen(f.FD(), 0o644))
			f.Close()
			i := 0
			var pair Pair
			for b.Loop() {
				name := fmt.Sprint("file-", i)
				i++
				smallFile(b, source, target, &pair, name)
			}
		})
	}
}

// smallFile is what the copy of one file costs: look, read, write, set, rename, look.
func smallFile(b *testing.B, source, target *Dir, pair *Pair, name string) {
	found := got[Object](b)(source.Lookup("file"))
	src := got[*File](b)(source.OpenObject("file", found))
	defer src.Close()
	o := got[Object](b)(src.Stat())
	x := got[Xattrs](b)(src.Xattrs())
	dst := got[*File](b)(target.CreateTemp("temp"))
	defer dst.Close()
	got[CopyResult](b)(CopyData(b.Context(), dst, src, nil, CopyOptions{Source: &o, Pair: pair}))
	got[Unstored](b)(dst.SetMeta(o.Attr, x, MetaOptions{Times: true}))
	must(b, Rename(target, "temp", target, name, NoReplace))
	got[replica.Attr](b)(target.Stat(name))
}
