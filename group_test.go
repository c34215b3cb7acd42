package weir

import "testing"

func TestGroupsDoNotOverlap(t *testing.T) {
	groups := Groups()
	for i, g := range groups {
		if g.Low.Compare(g.High) >= 0 {
			t.Errorf("%s is empty", g.Name)
		}
		if i > 0 && g.High.Compare(groups[i-1].Low) >= 0 {
			t.Errorf("%s reaches into %s", g.Name, groups[i-1].Name)
		}
	}
}

func TestGroupOf(t *testing.T) {
	for text, want := range map[string]string{
		"300000": "Replication", "309999.998": "Replication", "310000": "", "0": "Infrastructure", "19999.5": "Infrastructure",
		"389998.99": "Activity Monitor", "430000": "", "175000.1": "Imaging", "175001": "",
	} {
		if got := GroupOf(MustAltitude(text)); got != want {
			t.Errorf("%s is in %q, want %q", text, got, want)
		}
	}
}
