package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/manifest"
	"github.com/weirfs/weir/topology"
)

// workTime bounds how long a request waits for what it asks for to be done. It goes on without it.
const workTime = 40 * time.Second

// LoadRequest is the body of POST /v1/filters. Manifest is the text of one that says which instances the filter has; none
// means those that it has by itself.
type LoadRequest struct {
	Filter   string `json:"filter"`
	Manifest string `json:"manifest,omitempty"`
}

// manifest reads what the request says of the filter's instances; nil if that is nothing.
func (l LoadRequest) manifest(op string) (*manifest.Manifest, error) {
	if l.Manifest == "" {
		return nil, nil
	}
	m, err := manifest.Parse("", []byte(l.Manifest))
	if err == nil && m.Filter != l.Filter {
		err = refusal(op, l.Filter, fmt.Errorf("the manifest is for filter %q", m.Filter), "give each filter its own")
	}
	return m, err
}

func (s *Server) load(r *request) (any, error) {
	var wanted LoadRequest
	if err := r.read(&wanted); err != nil {
		return nil, err
	}
	if s.options.Engine.Snapshot().Filter(wanted.Filter) != nil {
		return nil, refusal(r.op, wanted.Filter, errors.New("it is loaded already"), "weir filters shows it")
	}
	instances, err := wanted.manifest(r.op)
	if err == nil {
		err = s.options.Engine.Load(wanted.Filter, instances)
	}
	if err != nil {
		return nil, err
	}
	return made{filtersOf(s.options.Engine.Snapshot(), s.options.Engine.Loadable())}, nil
}

func (s *Server) unload(r *request) (any, error) {
	query, err := r.query("mandatory")
	if err != nil {
		return nil, err
	}
	mandatory, err := boolean(r.op, query["mandatory"])
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), workTime)
	defer cancel()
	name := r.PathValue("filter")
	if s.options.Engine.Snapshot().Filter(name) == nil {
		return nil, noFilter(r.op, name)
	}
	if err := s.options.Engine.Unload(ctx, name, mandatory, r.caller()); err != nil {
		return nil, err
	}
	return filtersOf(s.options.Engine.Snapshot(), s.options.Engine.Loadable()), nil
}

// AttachRequest is the body of POST /v1/instances. No name of an instance means the filter's default.
type AttachRequest struct {
	Filter   string        `json:"filter"`
	Instance string        `json:"instance,omitempty"`
	Volume   weir.VolumeID `json:"volume"`
}

// attach asks for an instance and waits for what comes of it.
func (s *Server) attach(r *request) (any, error) {
	var wanted AttachRequest
	if err := r.read(&wanted); err != nil {
		return nil, err
	}
	e := s.options.Engine
	is := func(slot manager.SlotSnapshot) bool {
		return slot.Filter == wanted.Filter && slot.Volume == wanted.Volume && (wanted.Instance == "" && isDefault(slot) || slot.Instance == wanted.Instance)
	}
	before := e.Snapshot()
	switch slot := find(before, is); {
	case before.Filter(wanted.Filter) == nil:
		return nil, noFilter(r.op, wanted.Filter)
	case snapshotOf(before, wanted.Volume) == nil:
		return nil, noVolume(r.op, fmt.Sprint(wanted.Volume))
	case slot == nil:
		return nil, &weir.Error{Op: r.op, Kind: weir.KindAbsent, Path: cmp.Or(wanted.Instance, wanted.Filter), Err: errors.New("nothing of this name can be there"),
			Hint: "weir instances -f " + wanted.Filter + " --all lists what can"}
	case slot.State == topology.SlotAttached:
		return nil, refusal(r.op, "", errors.New(place(*slot)+" is attached already"), "weir instances shows it")
	}
	if err := e.Attach(wanted.Filter, wanted.Instance, wanted.Volume); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), workTime)
	defer cancel()
	slot, now, err := s.settled(ctx, r.op, is, func(state topology.SlotState) bool {
		return state != topology.SlotPending && state != topology.SlotSettingUp && state != topology.SlotDraining
	})
	switch {
	case err != nil:
		return nil, err
	case slot == nil:
		return nil, &weir.Error{Op: r.op, Kind: weir.KindAbsent, Err: errors.New("the filter or the volume has left meanwhile")}
	case slot.State != topology.SlotAttached:
		return nil, notAttached(r.op, *slot)
	}
	if told := e.Snapshot(); find(told, is) != nil { // with what the filter says of it
		now, slot = told, find(told, is)
	}
	return made{instanceOf(now, *slot)}, nil
}

// notAttached says at which stage an instance has been refused, or has failed.
func notAttached(op string, slot manager.SlotSnapshot) error {
	e := &weir.Error{Op: op, Kind: weir.KindRefused, Err: fmt.Errorf("%s is %s: %s", place(slot), slot.State, slot.Why)}
	switch slot.State {
	case topology.SlotDeclined:
		e.Err = fmt.Errorf("%s: the filter declines: %s", place(slot), slot.Why)
		e.Hint = "it is asked again when the volume's mounts change"
	case topology.SlotFailed:
		e.Kind, e.Err = weir.KindFailed, fmt.Errorf("%s: its set-up has failed: %s", place(slot), slot.Why)
		e.Hint = "it is tried again; weir instances shows how it stands"
	case topology.SlotDetached:
		e.Err, e.Hint = fmt.Errorf("%s: %s has detached it meanwhile", place(slot), slot.By), "agree on it"
	case topology.SlotRemoved:
		e.Err, e.Hint = fmt.Errorf("%s: weir has taken it away again: %s", place(slot), slot.Why), "the log says what the filter has done"
	default:
		e.Hint = "weir coverage shows the rule"
	}
	return e
}

// detach takes an instance away, or keeps one from coming, and waits until it has ended.
func (s *Server) detach(r *request) (any, error) {
	e := s.options.Engine
	id := r.PathValue("instance")
	is := func(slot manager.SlotSnapshot) bool { return idOf(slot) == id }
	slot := find(e.Snapshot(), is)
	if slot == nil {
		return nil, &weir.Error{Op: r.op, Kind: weir.KindAbsent, Path: id, Err: errors.New("there is no such instance"), Hint: "weir instances lists them"}
	}
	if slot.State == topology.SlotDetached {
		hint := "weir attach undoes that"
		if slot.Attach == weir.AttachAutomatic {
			hint = "it comes back with the volume, or when the filter is loaded again"
		}
		return nil, refusal(r.op, "", fmt.Errorf("%s is detached already, by %s", place(*slot), slot.By), hint)
	}
	ctx, cancel := context.WithTimeout(r.Context(), workTime)
	defer cancel()
	if err := e.Detach(ctx, slot.Filter, slot.Instance, slot.Volume, r.by()); err != nil {
		return nil, err
	}
	slot, now, err := s.settled(ctx, r.op, is, func(state topology.SlotState) bool { return state == topology.SlotDetached })
	switch {
	case err != nil:
		return nil, err
	case slot == nil: // It ended with its volume or its filter.
		return Instance{ID: id, State: topology.SlotDetached.String(), By: r.by()}, nil
	}
	return instanceOf(now, *slot), nil
}

// settled waits until a slot is in a state that is the outcome, or is no more.
func (s *Server) settled(
	ctx context.Context, op string, is func(manager.SlotSnapshot) bool, outcome func(topology.SlotState) bool,
) (slot *manager.SlotSnapshot, now manager.Snapshot, err error) {
	err = s.options.Engine.Wait(ctx, func(s manager.Snapshot) bool {
		now, slot = s, find(s, is)
		return slot == nil || outcome(slot.State)
	})
	if err != nil && slot != nil {
		err = &weir.Error{Op: op, Err: fmt.Errorf("%s is still %s", place(*slot), slot.State), Hint: "it goes on; weir coverage shows what keeps it"}
	}
	return slot, now, err
}

func find(s manager.Snapshot, is func(manager.SlotSnapshot) bool) *manager.SlotSnapshot {
	for i := range s.Slots {
		if is(s.Slots[i]) {
			return &s.Slots[i]
		}
	}
	return nil
}

// place names a slot.
func place(slot manager.SlotSnapshot) string {
	if slot.Instance == slot.Filter {
		return fmt.Sprintf("filter %s on volume %d", slot.Filter, slot.Volume)
	}
	return fmt.Sprintf("instance %s of filter %s on volume %d", slot.Instance, slot.Filter, slot.Volume)
}
