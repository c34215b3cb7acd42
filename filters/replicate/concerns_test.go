package replicate

import (
	"context"
	"errors"
	"testing"

	"github.com/weirfs/weir"
)

// oneVolume shows itself below each path that it has no error for.
type oneVolume struct {
	weir.Volume
	weir.Discovery
	errs map[string]error
}

func (v *oneVolume) ID() weir.VolumeID { return 1 }

func (v *oneVolume) Info() weir.VolumeInfo {
	return weir.VolumeInfo{Mounts: []weir.Mount{{Point: "/mnt", Own: true}}}
}

func (v *oneVolume) At(path string) (weir.Volume, error) { return v, v.errs[path] }

// TestUnansweredIsNotDeclined asks about a volume while it cannot be told what shows the source: that is no answer, and
// asked again.
func TestUnansweredIsNotDeclined(t *testing.T) {
	absent := &weir.Error{Kind: weir.KindAbsent, Err: errors.New("there is no such directory")}
	failed := &weir.Error{Kind: weir.KindFailed, Err: errors.New("it does not answer")}
	for name, c := range map[string]struct {
		errs     map[string]error
		concerns error
	}{
		"it is there":              {nil, nil},
		"it is away":               {map[string]error{"/mnt/a/s": absent, "/mnt/a": absent}, nil},
		"it cannot be asked":       {map[string]error{"/mnt/a/s": failed}, failed},
		"what is left cannot, too": {map[string]error{"/mnt/a/s": absent, "/mnt/a": failed}, failed},
	} {
		v := &oneVolume{errs: c.errs}
		r := &Replicator{options: Options{Source: "/mnt/a/s", Discovery: v}, places: []*place{{}}, mountsMoved: make(chan struct{}, 1)}
		if err := r.asked(context.Background(), v); !errors.Is(err, c.concerns) || errors.Is(err, weir.ErrDecline) {
			t.Errorf("%s: %v, want %v", name, err, c.concerns)
		}
	}
}
