package manager_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/plane/memory"
)

// reading returns a file on a volume with n filters that let every operation pass.
func reading(t testing.TB, n int) *memory.File {
	t.Helper()
	var list []*weir.Filter
	for i := range n {
		list = append(list, guardFilter(new(log), fmt.Sprint("f", i), fmt.Sprint(100+i), nil))
	}
	discovery, v := new(memory.Discovery), memory.NewVolume(1, "/m")
	m, err := manager.New(manager.Options{Discovery: discovery, Planes: []weir.Plane{new(memory.Plane)}, Filters: list})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	discovery.Mount(v)
	settled := func(s manager.Snapshot) bool { return s.Settled() && len(s.Volumes) == 1 && len(s.Slots) == n }
	if err := m.Wait(t.Context(), settled); err != nil {
		t.Fatal(err)
	}
	if err := v.Create("a"); err != nil {
		t.Fatal(err)
	}
	f, err := v.Open("a")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// What an operation costs on a volume in memory, and what filters add to that.
func BenchmarkRead(b *testing.B) {
	for _, n := range []int{0, 1, 8} {
		b.Run(fmt.Sprint("filters=", n), func(b *testing.B) {
			f, buffer := reading(b, n), make([]byte, 100)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = f.ReadAt(buffer, 0)
			}
		})
	}
}
