package replicate

import (
	"fmt"
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/replica"
)

func item(n int, ops weir.Ops) replica.Item {
	return replica.Item{Dir: "d", Name: fmt.Sprint(n), Ops: ops}
}

// TestLaterKeepsTheEarliestTime puts names off several times, as one that fails and is reported does.
func TestLaterKeepsTheEarliestTime(t *testing.T) {
	var h laterHeap
	start := time.Now()
	h.add(start.Add(time.Minute), item(1, weir.OpModify))
	h.owe(start.Add(time.Second), item(1, weir.OpAttrib))
	h.add(start.Add(time.Hour), item(1, weir.OpClose))
	h.add(start.Add(2*time.Second), item(2, 0))
	if next, ok := h.next(); !ok || !next.Equal(start.Add(time.Second)) || h.owed != 1 || h.Len() != 2 {
		t.Fatalf("next %v %v, %d owed of %d", next.Sub(start), ok, h.owed, h.Len())
	}
	var due []replica.Item
	h.due(start.Add(time.Second), func(i replica.Item) { due = append(due, i) })
	if len(due) != 1 || due[0] != item(1, weir.OpModify|weir.OpAttrib|weir.OpClose) || h.owed != 0 {
		t.Errorf("due are %v, %d owed", due, h.owed)
	}
}

// TestLaterIsBounded puts more off than is remembered one by one.
func TestLaterIsBounded(t *testing.T) {
	var h laterHeap
	start := time.Now()
	for n := range maxLater + 1000 {
		h.add(start.Add(time.Duration(n)*time.Second), item(n, 0))
	}
	h.add(start.Add(-time.Second), item(5, 0))
	if h.Len() != maxLater || len(h.known) != maxLater {
		t.Errorf("%d items, %d known, want %d", h.Len(), len(h.known), maxLater)
	}
	if next, _ := h.next(); !next.Equal(start.Add(-time.Second)) {
		t.Errorf("a name that stands in it has another time: next %v", next.Sub(start))
	}
	at := start.Add(maxLater * time.Second)
	if h.walkDue(at.Add(-1)) || !h.walkDue(at) || h.walkDue(at) {
		t.Error("the walk is not due once, when the first that had no room is")
	}
}
