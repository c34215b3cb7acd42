package activity_test

import (
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/activity"
	"github.com/weirfs/weir/weirtest"
)

func TestConforms(t *testing.T) {
	weirtest.Conform(t, func() *weir.Filter { return activity.New().Filter() })
}
