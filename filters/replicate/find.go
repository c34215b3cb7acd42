package replicate

import (
	"cmp"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/replica"
	"github.com/weirfs/weir/tree"
)

// walkMode says how names were met.
type walkMode struct {
	scan     bool // on a walk: changes may have gone unreported
	whole    bool // the walk is of the whole place
	full     bool // content is compared even where the metadata agrees
	audit    bool // the replica is looked at too
	descends bool // the walk goes into the directories that it finds
	followed bool // the walk is of what was compared before, and followed since: what is new there has come to the source
}

// find is one name that is looked at.
type find struct {
	at       replica.Name
	ops      weir.Ops
	reported weir.Handle // the inode on which they were; "" if that is not known
	since    time.Time   // when a large file began to wait
	dir      *tree.Dir   // of the source; nil if the name's absence is known from its directory's
	mode     walkMode

	skip         bool // excluded, or no part of the tree
	absent       bool
	key          weir.Handle
	object       tree.Object
	covered      bool  // a volume is mounted on it
	owned        bool  // and has a place of its own
	isNew        bool  // the replica did not have the inode when it was looked at
	former       int64 // how many bytes the replica's version has, if it is not new
	work         replica.Work
	xattrs       tree.Xattrs
	text         string
	copied       *copied
	large        bool // the copy is made beside the batches
	settledPlace bool // its names are right already
	deferred     bool // the file changes too often; its copy is due later
	waited       bool // its writer was waited for, as long as that is done
	exists       bool // the target has an object of that name that the index does not know
	takes        bool // that object is equal and is taken over
	problem      error
	attempt      attempt // the copy, where the room of the target was asked for

	audited *replica.Node // what the index had under that name; nil if no audit has read it
	atRest  bool          // nothing had to be done about it when it was looked at
	version uint64        // of the index when that was read
}

// item has a name looked at again, and what was found there also if it has left that name by then.
func (f *find) item(ops weir.Ops) replica.Item {
	return replica.Item{Dir: f.at.Parent, Name: f.at.Name, Ops: ops, Object: cmp.Or(f.key, f.reported)}
}

// copied is new content in a temporary of the target.
type copied struct {
	temp    string
	equal   replica.Attr // of the object of the replica that has the same content, if there is no temporary
	version tree.Object  // of the source, as it was read
	xattrs  tree.Xattrs
	flags   replica.Flags
	refused tree.Unstored // what the target did not store of its metadata
	cost    time.Duration
	synced  bool
}
