package vmtest

import (
	"os"
	"testing"

	"github.com/weirfs/weir/internal/voltest"
)

func TestMain(m *testing.M) {
	switch {
	case os.Getpid() == 1 && os.Getenv(guestEnv) != "":
		bootGuest()
	case os.Getenv(guestEnv) == asRunner:
		runCommands()
	default:
		os.Exit(voltest.Unshared(m))
	}
}
