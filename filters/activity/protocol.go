package activity

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/weirfs/weir"
)

// Name is what the filter is called, and its port.
const Name = "activity"

// Request is the first and only message of a program that watches. The zero value asks for every change on every volume.
type Request struct {
	// Ops are the operations of which at least one has to be in a merged set; 0 stands for all. Reads asks for those that
	// change nothing, too.
	Ops   weir.Ops `json:"ops,omitempty"`
	Reads bool     `json:"reads,omitempty"`

	PID     int    `json:"pid,omitempty"`     // of this process only
	Process string `json:"process,omitempty"` // of processes of this name only; "exited" and "unknown" are those whose name is not known

	// Volume is the only one, or, with Path, the one that shows Path now. Path, absolute and as weir.QuotePath writes it,
	// asks for what is at or below it, also on volumes that are mounted there.
	Volume weir.VolumeID `json:"volume,omitempty"`
	Path   string        `json:"path,omitempty"`
}

const requestHint = "send one JSON object; its fields are ops, reads, pid, process, volume and path"

// read refuses fields that are not known: who sends them would be told something else than was meant.
func (r *Request) read(text []byte) error {
	from := json.NewDecoder(bytes.NewReader(text))
	from.DisallowUnknownFields()
	if err := from.Decode(r); err != nil {
		return err
	}
	if _, err := from.Token(); err != io.EOF {
		return errors.New("something follows the object")
	}
	return nil
}

// Message is what a program is told.
type Message struct {
	// Watching is in the first message, unless the request is refused: whatever completes from now on is told or counted.
	Watching *Watching `json:"watching,omitempty"`

	Events  []Event  `json:"events,omitempty"`
	Dropped uint64   `json:"dropped,omitempty"` // operations that were not told since the begin
	Notes   []string `json:"notes,omitempty"`   // what else has happened, in full clauses

	// Undecided is how many operations were not told since the begin because the request names a process, and that of who
	// did them is not known.
	Undecided uint64 `json:"undecided,omitempty"`

	// End says why this is the last message. Kind is not 0 if it is a failure.
	End  string    `json:"end,omitempty"`
	Kind weir.Kind `json:"kind,omitzero"`
}

// Watching says which volumes are watched.
type Watching struct {
	Volumes   []weir.VolumeID `json:"volumes"`
	Unwatched []Unwatched     `json:"unwatched,omitempty"` // those that should be, and why they are not
}

// Unwatched is a volume that cannot be watched.
type Unwatched struct {
	Volume weir.VolumeID `json:"volume"`
	Why    string        `json:"why"`
}

// Event is an operation, or a merged set of them. Names are as weir.QuotePath writes them.
type Event struct {
	Time    time.Time     `json:"time"` // when it was told
	Ops     weir.Ops      `json:"ops"`
	PID     int           `json:"pid"`     // 0 if it is in a process namespace that is not seen from here
	Process string        `json:"process"` // its name; "exited" if it was gone too soon
	Path    string        `json:"path"`
	To      string        `json:"to,omitempty"` // the new name, of a rename
	Dir     bool          `json:"dir,omitempty"`
	Volume  weir.VolumeID `json:"volume"`

	// Instance is which one of the filter was told, where it is not called like the filter. Where a manifest has put several
	// on a volume, each tells what it was told.
	Instance string `json:"instance,omitempty"`
}
