package control

import (
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirfs/weir"
)

const stranger = 12345

// asStranger runs on a thread of its own that is another user's, and ends with it.
func asStranger(t *testing.T, run func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, stranger, stranger, stranger); errno != 0 {
			t.Error(errno)
			return
		}
		run()
	}()
	<-done
}

// open returns a directory that everybody may use.
func open(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "weir-control-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	report(t, os.Chmod(dir, 0o777))
	return dir
}

// TestStrangersAreTurnedAway lets another user reach the socket, first not and then in spite of its folder.
func TestStrangersAreTurnedAway(t *testing.T) {
	b := beginIn(t, open(t))
	folder := filepath.Dir(SocketPath(b.state))
	asStranger(t, func() {
		_, err := b.Upgrade(t.Context(), "/v1/status", "test")
		if weir.KindOf(err) != weir.KindRefused || !strings.Contains(err.Error(), askAsRoot) {
			t.Errorf("before the folder: %v", err)
		}
	})
	report(t, os.Chmod(folder, 0o755))
	report(t, os.Chmod(SocketPath(b.state), 0o777))
	asStranger(t, func() {
		for _, path := range []string{"/v1/status", "/v1/nothing"} {
			_, err := b.Upgrade(t.Context(), path, "test")
			if weir.KindOf(err) != weir.KindRefused || !strings.Contains(err.Error(), "user 12345 may not ask") {
				t.Errorf("before the server: %v", err)
			}
		}
	})
}

// TestStrangersAreNotAsked has another user serve.
func TestStrangersAreNotAsked(t *testing.T) {
	state := open(t)
	var l *listener
	asStranger(t, func() {
		var err error
		if l, err = listen(state); err != nil {
			t.Error(err)
		}
	})
	if l == nil {
		return
	}
	defer l.Close()
	err := NewClient(l.path).Do(t.Context(), http.MethodGet, "/v1/status", nil, nil)
	if err == nil || !strings.Contains(err.Error(), "user 12345 serves it") {
		t.Errorf("%v", err)
	}
}

// TestUsersAnnounceApart looks where a user's weirs are found: among their own, and then among root's.
func TestUsersAnnounceApart(t *testing.T) {
	for dir, want := range map[string]string{"/run/user/1": "/run/user/1/weir/running", "relative": "", "": ""} {
		t.Setenv("XDG_RUNTIME_DIR", dir)
		if os.Geteuid() == 0 && RunningDir() != rootRunning {
			t.Errorf("root's are in %q", RunningDir())
		}
		asStranger(t, func() {
			if got := RunningDir(); got != want {
				t.Errorf("with %q: %q, want %q", dir, got, want)
			}
			if got := directories(); got[len(got)-1] != rootRunning || (len(got) == 2) != (want != "") {
				t.Errorf("with %q: looked for in %q", dir, got)
			}
		})
	}
}
