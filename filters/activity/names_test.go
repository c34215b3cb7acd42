package activity

import (
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/plane/memory"
)

// TestFileThatLosesItsLastName is told by its inode alone first, and then by the name that went.
func TestFileThatLosesItsLastName(t *testing.T) {
	n := newNames(memory.NewVolume(1, "/m"))
	root, err := n.volume.(*memory.Volume).Handle("")
	if err != nil {
		t.Fatal(err)
	}
	alone := weir.Operation{Ops: weir.OpAttrib, Object: "file"}
	behind := weir.Operation{Ops: weir.OpDelete, Dir: root, Name: "a", Object: "file"}
	for _, tt := range []struct {
		ops  []weir.Operation
		want place
	}{
		{[]weir.Operation{alone, behind}, "/a"},
		{[]weir.Operation{alone}, unnamed},
		{[]weir.Operation{{Ops: weir.OpAttrib, IsDir: true}}, deleted},
		{[]weir.Operation{{Ops: weir.OpAttrib, Dir: root, Name: ".", IsDir: true}}, "/"},
		{[]weir.Operation{{Ops: weir.OpCreate, Dir: "gone", Name: "b"}}, deleted + "/b"},
	} {
		var all []happening
		for _, op := range tt.ops {
			all = append(all, happening{time.Now(), op})
		}
		if told := n.readDirs(t.Context(), all); told != len(all) {
			t.Errorf("%d of %d can be named", told, len(all))
		}
		if got := n.of(all[0].op).path; got != tt.want {
			t.Errorf("%+v is called %q, want %q", all[0].op, got, tt.want)
		}
	}
}

func TestNamesOfProcesses(t *testing.T) {
	n := newNames(memory.NewVolume(1, "/m"))
	n.processes[1<<30] = process{"brief", time.Now()}
	n.processes[1<<30+1] = process{"old", time.Now().Add(-2 * kept)}
	all := []happening{{op: weir.Operation{PID: 1 << 30}}, {op: weir.Operation{PID: 1<<30 + 1}}, {op: weir.Operation{PID: 1<<30 + 2}}, {}}
	n.readProcesses(all)
	for i, want := range []string{"brief", "exited", "exited", "unknown"} {
		if got, known := n.process(all[i].op.PID); got != want || known != (want == "brief") {
			t.Errorf("%d is called %q (known: %v), want %q", all[i].op.PID, got, known, want)
		}
	}
}
