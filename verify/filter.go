package verify

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/weirfs/weir"
)

// Filter returns a filter that does what f does, under the eyes of the verifier.
func (v *Verifier) Filter(f *weir.Filter) *weir.Filter {
	if v == nil {
		return f
	}
	watched := *f
	watched.Setup = func(ctx context.Context, site weir.Site) (weir.Instance, error) { return v.setUp(ctx, f, site) }
	if f.Concerns != nil {
		watched.Concerns = func(ctx context.Context, of weir.Volume) error { return v.concerns(ctx, f, of) }
	}
	if f.Passed != nil {
		watched.Passed = func(volume weir.VolumeInfo) {
			v.soon(f, fmt.Sprintf("Passed for volume %d", volume.ID), func() { f.Passed(volume) })
		}
	}
	if f.Remarks != nil {
		watched.Remarks = func() (list []weir.Remark) {
			v.soon(f, "Remarks", func() { list = f.Remarks() })
			return list
		}
	}
	if f.Ignores != nil {
		watched.Ignores = func(volume weir.VolumeID, path string, dir bool) (why string) {
			v.soon(f, "Ignores", func() { why = f.Ignores(volume, path, dir) })
			return why
		}
	}
	if f.Unload != nil {
		watched.Unload = func(ctx context.Context, mandatory bool) (err error) {
			v.soon(f, "Unload", func() { err = f.Unload(ctx, mandatory) })
			if err != nil && mandatory {
				v.report(nil, Violation{Rule: mandatoryRefusal, Filter: f.Name, What: fmt.Sprintf("Unload has refused a mandatory unloading: %v", err)})
			}
			return err
		}
	}
	if f.Admit != nil {
		watched.Admit = func(peer weir.Peer) (err error) {
			v.soon(f, fmt.Sprintf("Admit for process %d", peer.PID), func() { err = f.Admit(peer) })
			return err
		}
	}
	if f.Connect != nil {
		watched.Connect = func(ctx context.Context, peer weir.Peer, port weir.Port) error { return v.connect(ctx, f, peer, port) }
	}
	return &watched
}

// soon makes a call that is about no instance, and reports it when it takes long.
func (v *Verifier) soon(f *weir.Filter, what string, call func()) {
	v.watch(nil, v.options.Setup, Violation{Rule: slowSetup, Filter: f.Name, What: what}, call)
}

// connect is the Connect of a filter that is watched.
func (v *Verifier) connect(ctx context.Context, f *weir.Filter, peer weir.Peer, port weir.Port) error {
	returned := make(chan struct{})
	defer close(returned)
	defer context.AfterFunc(ctx, func() {
		select {
		case <-returned:
		case <-time.After(v.options.Callback):
			v.report(nil, Violation{Rule: openPort, Filter: f.Name, What: fmt.Sprintf("Connect goes on %v after its ctx has ended, for process %d", v.options.Callback, peer.PID)})
		}
	})()
	return f.Connect(ctx, peer, port)
}

// Check looks at what a filter says of itself.
func (v *Verifier) Check(f *weir.Filter) {
	if v == nil {
		return
	}
	for _, d := range f.Definitions() {
		if weir.GroupOf(d.Altitude) == "" {
			v.report(nil, Violation{Rule: altitudeGroup, Filter: f.Name, What: fmt.Sprintf("altitude %s of instance %s is in none", d.Altitude, d.Name)})
		}
	}
}

// setUp is the Setup of a filter that is watched.
func (v *Verifier) setUp(ctx context.Context, f *weir.Filter, site weir.Site) (weir.Instance, error) {
	in := &instance{
		verifier: v, filter: f, name: site.Instance.Name, altitude: site.Instance.Altitude, volume: site.Volume.ID(), host: site.Host,
		taken: map[*taken]bool{}, pended: map[*call]bool{},
	}
	v.mu.Lock()
	v.instances[site.Host] = in
	v.mu.Unlock()
	site.Host, site.Volume = &host{site.Host, in}, &volume{site.Volume, in}
	var inner weir.Instance
	var err error
	found := in.violation(slowSetup, nil, "Setup")
	in.run(func() { v.watch(in, v.options.Setup, found, func() { inner, err = f.Setup(ctx, site) }) })
	switch {
	case err != nil && !isNil(inner):
		in.report(setupTeardown, nil, "Setup has returned an instance together with an error, so that nobody tears it down")
		return nil, err
	case err != nil:
		return nil, err
	case inner == nil:
		in.report(setupTeardown, nil, "Setup has returned neither an instance nor an error")
		return nil, nil
	case v.isTaken(inner):
		in.report(setupTeardown, nil, "Setup has returned an instance that it had returned before, and that has not ended")
	}
	in.begin(inner)
	if interceptor, ok := inner.(weir.Interceptor); ok {
		return &intercepting{in, interceptor}, nil
	}
	return in, nil
}

// isNil tells whether an interface holds nothing, or a pointer to nothing.
func isNil(in weir.Instance) bool {
	v := reflect.ValueOf(in)
	return in == nil || v.Kind() == reflect.Pointer && v.IsNil()
}

// isTaken tells whether another instance that has not ended is the same. Values that hold nothing cannot be told apart.
func (v *Verifier) isTaken(inner weir.Instance) bool {
	value := reflect.ValueOf(inner)
	if value.Kind() != reflect.Pointer || value.Type().Elem().Size() == 0 {
		return false
	}
	v.mu.Lock()
	all := make([]*instance, 0, len(v.instances))
	for _, in := range v.instances {
		all = append(all, in)
	}
	v.mu.Unlock()
	for _, in := range all {
		if in.is(inner) {
			return true
		}
	}
	return false
}

// twin tells whether an instance's filter has one at the same altitude on another volume.
func (v *Verifier) twin(in *instance, volume weir.VolumeID) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, other := range v.instances {
		if other.filter == in.filter && other.altitude == in.altitude && other.volume == volume {
			return true
		}
	}
	return false
}

// Ended says that nothing of the instance with that host is left, so that what it has not given back is lost.
func (v *Verifier) Ended(h weir.Host) {
	if v == nil {
		return
	}
	v.mu.Lock()
	in := v.instances[h]
	delete(v.instances, h)
	v.mu.Unlock()
	if in != nil {
		in.end()
	}
}
