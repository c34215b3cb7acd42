package ledger

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strconv"
	"time"

	"github.com/weirfs/weir"
)

// version is the version of the format. A reader refuses a higher one.
const version = 1

// kind says what a record is about.
type kind string

const (
	kindHeader  kind = "weir-ledger"
	kindSession kind = "session"
	kindVolume  kind = "volume"
	kindLeft    kind = "left"
	kindSlot    kind = "slot"
	kindSight   kind = "sight"
	kindGap     kind = "gap"
	kindClosed  kind = "closed"
	kindEnd     kind = "end" // of the session, in good order
)

// record is one line. Which fields count depends on the kind.
type record struct {
	Kind    kind          `json:"kind"`
	Version int           `json:"version,omitempty"` // header
	Dropped uint64        `json:"dropped,omitempty"` // header: open gaps that were forgotten
	At      time.Time     `json:"at"`
	Session uint64        `json:"session,omitempty"` // session; volume, where it is not the current one
	ID      weir.VolumeID `json:"id,omitempty"`      // volume, left, slot, sight
	Volume  *Volume       `json:"volume,omitempty"`  // volume
	Filter  string        `json:"filter,omitempty"`  // slot
	Name    string        `json:"name,omitempty"`    // slot: of the instance
	State   string        `json:"state,omitempty"`   // slot, sight
	Why     string        `json:"why,omitempty"`     // slot, sight
	Gap     *Gap          `json:"gap,omitempty"`     // gap
	Closed  uint64        `json:"closed,omitempty"`  // closed: the gap
	By      string        `json:"by,omitempty"`      // closed: the scan
}

// Volume is a volume as the ledger knows it.
type Volume struct {
	Session  uint64        `json:"session"`
	ID       weir.VolumeID `json:"id"`
	Source   string        `json:"source"` // quoted where it is not plain text
	Device   string        `json:"device"`
	Label    string        `json:"label,omitempty"`
	Points   []string      `json:"points,omitempty"` // where it was mounted for weir when it arrived, quoted likewise
	Identity weir.Identity `json:"identity"`
	Listed   bool          `json:"listed"` // found by listing
	Arrived  time.Time     `json:"arrived"`
	Left     time.Time     `json:"left,omitzero"` // zero while it is there
	Sight    string        `json:"sight,omitempty"`
	SightWhy string        `json:"sight_why,omitempty"`
	Slots    []Slot        `json:"slots,omitempty"` // by filter and instance
}

// point returns a place at which the volume was mounted for weir when it arrived, or nothing if there was none.
func (v *Volume) point() string {
	if len(v.Points) == 0 {
		return ""
	}
	return v.Points[0]
}

// Slot is the state of one instance of a filter on one volume.
type Slot struct {
	Volume   weir.VolumeID `json:"-"`
	Filter   string        `json:"filter"`
	Instance string        `json:"instance"`
	State    string        `json:"state"` // empty: the slot is no more
	Why      string        `json:"why,omitempty"`
	Since    time.Time     `json:"since"`
}

// Gap is an interval in which a filter did not cover a volume. It begins at From, or at a time that is not known if that
// is zero. If To is set and ClosedBy is empty, the volume left before a scan had closed the gap.
type Gap struct {
	ID       uint64        `json:"id"`
	Session  uint64        `json:"session"`
	Volume   weir.VolumeID `json:"volume"`
	Source   string        `json:"source"`
	Point    string        `json:"point,omitempty"` // where it was mounted for weir, quoted where it is not plain text
	Identity weir.Identity `json:"identity"`
	Filter   string        `json:"filter"`
	From     time.Time     `json:"from"`
	To       time.Time     `json:"to,omitzero"`
	Until    time.Time     `json:"until,omitzero"` // when it ended, where that is known before To: nothing later was missed
	Cause    string        `json:"cause"`
	ClosedBy string        `json:"closed_by,omitempty"`
}

// end sets To, unless that is known, to the end of the gap: at the latest then.
func (g *Gap) end(at time.Time) {
	switch {
	case !g.To.IsZero():
	case !g.Until.IsZero() && g.Until.Before(at):
		g.To = g.Until
	default:
		g.To = at
	}
}

// Ended returns when the interval ended, zero if it goes on.
func (g Gap) Ended() time.Time {
	if g.To.IsZero() {
		return g.Until
	}
	return g.To
}

// Open tells whether no scan has closed the gap.
func (g Gap) Open() bool { return g.ClosedBy == "" }

// table is Castagnoli's polynomial, which catches all burst errors of up to 32 bits.
func table() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// encode returns the line of a record with its newline.
func encode(r record) ([]byte, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode ledger record: %w", err)
	}
	line := fmt.Appendf(nil, "%08x ", crc32.Checksum(body, table()))
	return append(append(line, body...), '\n'), nil
}

// decode reads one line, without its newline.
func decode(line []byte) (record, error) {
	sum, body, ok := bytes.Cut(line, []byte{' '})
	if !ok || len(sum) != 8 {
		return record{}, fmt.Errorf("decode ledger record: no checksum")
	}
	want, err := strconv.ParseUint(string(sum), 16, 32)
	if err != nil {
		return record{}, fmt.Errorf("decode ledger record: checksum: %w", err)
	}
	if got := crc32.Checksum(body, table()); got != uint32(want) {
		return record{}, fmt.Errorf("decode ledger record: checksum is %08x instead of %08x", got, want)
	}
	var r record
	if err := json.Unmarshal(body, &r); err != nil {
		return record{}, fmt.Errorf("decode ledger record: %w", err)
	}
	return r, nil
}
