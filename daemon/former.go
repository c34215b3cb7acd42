package daemon

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/process"
)

// engineFile names, in the state directory, the process that works on the index.
const engineFile = "engine.json"

// formerPatience is how long a start waits for a former engine that is still dying.
const formerPatience = time.Second

// former waits for the engine that has used the state directory before. The lock says nothing about it: it is
// the supervisor's, which may have been killed a moment ago, or has left an engine behind that hangs in the
// kernel. stuck is such an engine, or nil: it never comes back to the index, but what it was writing on a target
// may still be finished.
func former(dir string) (stuck *process.Identity, err error) {
	text, err := os.ReadFile(filepath.Join(dir, engineFile))
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read which process used the state directory: %w", err)
	}
	var id process.Identity
	if json.Unmarshal(text, &id) != nil || id.PID == os.Getpid() {
		return nil, nil // Torn by a power cut, which no process survives; or an engine of this very process.
	}
	deadline := time.Now().Add(formerPatience)
	for {
		state := id.State()
		late := time.Now().After(deadline)
		switch {
		case state == process.Gone:
			return nil, nil
		case late && state == process.Dying:
			return &id, nil
		case late:
			return nil, &weir.Error{Op: "use state directory", Kind: weir.KindRefused, Path: dir,
				Err:  fmt.Errorf("it is in use by process %d", id.PID),
				Hint: "end that process, or name another directory with --state"}
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// signIn records that this process works on the index from now on.
func signIn(dir string) error {
	id, err := process.Self()
	if err != nil {
		return fmt.Errorf("record which process uses the state directory: %w", err)
	}
	text, err := json.Marshal(id)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, engineFile)
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("record which process uses the state directory: %w", err)
	}
	return os.Rename(path+".new", path)
}
