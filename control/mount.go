package control

import (
	"context"
	"errors"

	"github.com/weirfs/weir"
)

// MountRequest is the body of POST /v1/mounts. Device and Dir are as weir.QuotePath writes them, and are those of the
// process that asks.
type MountRequest struct {
	Type    string `json:"type"`
	Options string `json:"options,omitempty"` // as mount(8) takes them with -o
	Device  string `json:"device"`
	Dir     string `json:"dir"`

	// Require refuses to mount unless every instance that the volume concerns is attached to it before.
	Require bool `json:"require,omitempty"`
}

// Mounted is the answer to POST /v1/mounts.
type Mounted struct {
	Volume    weir.VolumeID `json:"volume"`
	Dir       string        `json:"dir"`
	Instances []string      `json:"instances"` // that were attached before anybody could use the volume
	Troubles  []string      `json:"troubles"`  // which of them do not see it, or not all of it, and why
}

func (s *Server) mount(r *request) (any, error) {
	var wanted MountRequest
	if err := r.read(&wanted); err != nil {
		return nil, err
	}
	for name, value := range map[string]string{"type": wanted.Type, "device": wanted.Device, "dir": wanted.Dir} {
		if value == "" {
			return nil, refusal(r.op, name, errors.New("it is missing"), "see /v1/openapi.yaml")
		}
	}
	if r.peer.PID <= 0 {
		return nil, refusal(r.op, wanted.Device, errors.New("the mount namespace of who asks is not known: the process is in another pid namespace"),
			"ask from the pid namespace in which weir runs")
	}
	wanted.Device, wanted.Dir = weir.UnquotePath(wanted.Device), weir.UnquotePath(wanted.Dir)
	ctx, cancel := context.WithTimeout(r.Context(), workTime)
	defer cancel()
	mounted, err := s.options.Engine.Mount(ctx, wanted, int(r.peer.PID))
	if err != nil {
		return nil, err
	}
	mounted.Dir = weir.QuotePath(mounted.Dir)
	return made{mounted}, nil
}
