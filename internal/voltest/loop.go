package voltest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// attachLoop makes image a block device that clears itself when its last user is gone, and returns the
// device held open.
func attachLoop(image string, readOnly bool) (*os.File, error) {
	mode, flags := os.O_RDWR, uint32(unix.LO_FLAGS_AUTOCLEAR)
	if readOnly {
		mode, flags = os.O_RDONLY, flags|unix.LO_FLAGS_READ_ONLY
	}
	file, err := os.OpenFile(image, mode, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	config := unix.LoopConfig{Fd: uint32(file.Fd()), Info: unix.LoopInfo64{Flags: flags}}
	copy(config.Info.File_name[:len(config.Info.File_name)-1], image)

	// Another process may take the free number first, and a number may be on its way out.
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		device, err := configureLoop(&config, mode)
		if err == nil {
			return device, nil
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("attach a loop device: %w", err)
		}
	}
}

func configureLoop(config *unix.LoopConfig, mode int) (*os.File, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	number, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return nil, err
	}
	device, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", number), mode, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.IoctlLoopConfigure(int(device.Fd()), config); err != nil {
		return nil, errors.Join(err, device.Close())
	}
	return device, nil
}

// freeLoops clears the loop devices whose images lie, or lay, below dir. A device that is still in use
// clears itself afterwards.
func freeLoops(dir string) error {
	backings, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return err
	}
	var errs []error
	for _, backing := range backings {
		text, err := os.ReadFile(backing)
		if err != nil || !strings.HasPrefix(string(text), dir+"/") {
			continue
		}
		errs = append(errs, clearLoop("/dev/"+strings.Split(backing, "/")[3]))
	}
	return errors.Join(errs...)
}

func clearLoop(path string) error {
	device, err := os.Open(path)
	if err != nil {
		return err
	}
	defer device.Close()
	if err := unix.IoctlSetInt(int(device.Fd()), unix.LOOP_CLR_FD, 0); err != nil && !errors.Is(err, unix.ENXIO) {
		return fmt.Errorf("free %s: %w", path, err)
	}
	return nil
}

// Loop attaches a loop device to a file until the test has ended, and returns the device's path.
func Loop(t testing.TB, image string) string {
	t.Helper()
	RequireRoot(t)
	device, err := attachLoop(image, false)
	if err != nil {
		t.Fatal("voltest:", err)
	}
	t.Cleanup(func() { _ = device.Close() })
	return device.Name()
}
