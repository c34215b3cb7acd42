package main

import (
	"strings"
	"testing"

	"github.com/weirfs/weir/control"
)

func TestWhatFiltersDoNotHearOfIsPrinted(t *testing.T) {
	var filters, explained strings.Builder
	if err := printFilters(&filters, control.Filters{Filters: []control.Filter{{Name: "a", Skips: "dirs", Stats: control.Stats{Refused: 2, Unseen: 3}}}}, false); err != nil {
		t.Error(err)
	}
	in := control.Explained{Column: control.Column{Filter: "a", Instance: "a"}, Cell: control.Cell{State: "attached"}, Skips: "dirs|own"}
	if err := printPass(&explained, control.Pass{Instances: []control.Explained{in}}, ""); err != nil {
		t.Error(err)
	}
	if !strings.Contains(filters.String(), "  no room: 2 failed, 3 passed unseen, without dirs\n") || !strings.Contains(explained.String(), "  attached, without dirs|own\n") {
		t.Errorf("printed:\n%s%s", &filters, &explained)
	}
}
