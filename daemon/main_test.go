package daemon

import (
	"os"
	"testing"

	"github.com/weirfs/weir/internal/voltest"
)

func TestMain(m *testing.M) { os.Exit(voltest.Unshared(m)) }
