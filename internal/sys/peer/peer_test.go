package peer

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

func TestBothEndsAreNamed(t *testing.T) {
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	near, err := net.Dial("unix", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	far, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	want := Credentials{PID: os.Getpid(), UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
	for _, conn := range []net.Conn{near, far} {
		if got, err := Of(conn); err != nil || got != want {
			t.Errorf("at the other end is %+v, %v, want %+v", got, err, want)
		}
	}
}

func TestOtherConnectionsAreRefused(t *testing.T) {
	one, other := net.Pipe()
	defer one.Close()
	defer other.Close()
	if _, err := Of(one); err == nil {
		t.Error("a pipe has credentials")
	}
}
