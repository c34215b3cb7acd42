package daemon

import "testing"

// TestDryRunOfWhatIsParked tells what becomes of what has left the tree: it comes back under another name, or it is
// deleted, as far as the brake lets it go.
func TestDryRunOfWhatIsParked(t *testing.T) {
	t.Run("lives on", func(t *testing.T) {
		o := dryScene(t)
		o.Brake = brake(t, "50")
		r := start(t, o)
		rename(t, o.Source+"/m", o.Source+"-away")
		r.equal(o.Source, o.Targets[0])
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		rename(t, o.Source+"-away", o.Source+"/z/m")
		write(t, o.Source+"/z/m/new", "new")
		write(t, o.Source+"/z/m/3", "another")
		agree(t, o)
	})
	t.Run("held", func(t *testing.T) {
		o := dryScene(t)
		remove(t, o.Source+"/m")
		agree(t, o)
		rename(t, o.Source+"/a", o.Source+"/m")
		agree(t, o)
		agree(t, o)
		o.Brake = brake(t, "off")
		agree(t, o)
	})
}
