package weir

// Group is a load-order group: a range of altitudes for filters of one kind. A filter stands where others of its kind do,
// and is so seen by, and sees, what its author expects: what scans for viruses stands above what replicates, so that it is
// first, and what encrypts stands below both.
type Group struct {
	Name      string
	Low, High Altitude // both inclusive
}

// Groups returns the load-order groups, from high to low. They are those of the Windows filter manager, so that the
// altitude of a filter that exists there is right here.
func Groups() []Group {
	var groups []Group
	for _, g := range [...]struct{ name, low, high string }{
		{"Filter", "420000", "429999"},
		{"Top", "400000", "409999"},
		{"Security Monitor", "392000", "394999"},
		{"Activity Monitor", "360000", "389999"},
		{"Undelete", "340000", "349999"},
		{"Anti-Virus", "320000", "329999"},
		{"Replication", "300000", "309999"},
		{"Continuous Backup", "280000", "289999"},
		{"Security Content Screener", "272000", "274999"},
		{"Content Screener", "260000", "269999"},
		{"Quota Management", "240000", "249999"},
		{"System Recovery", "220000", "229999"},
		{"Cluster File System", "200000", "209999"},
		{"HSM", "180000", "189999"},
		{"Imaging", "170000", "175000"},
		{"Compression", "160000", "169999"},
		{"Encryption", "140000", "149999"},
		{"Virtualization", "130000", "139999"},
		{"Physical Quota Management", "120000", "129999"},
		{"Open File", "100000", "109999"},
		{"Security Enhancer", "80000", "89999"},
		{"Copy Protection", "60000", "69999"},
		{"Security Bottom", "52000", "54999"},
		{"Bottom", "40000", "49999"},
		{"System", "20000", "29999"},
		{"Infrastructure", "0", "19999"},
	} {
		groups = append(groups, Group{g.name, MustAltitude(g.low), MustAltitude(g.high)})
	}
	return groups
}

// Holds tells whether an altitude is in the group. A fraction beyond High counts: 309999.5 is in Replication.
func (g Group) Holds(a Altitude) bool {
	a.fraction = ""
	return g.Low.Compare(a) <= 0 && a.Compare(g.High) <= 0
}

// GroupOf returns the name of the group that an altitude is in, or "".
func GroupOf(a Altitude) string {
	for _, g := range Groups() {
		if g.Holds(a) {
			return g.Name
		}
	}
	return ""
}
