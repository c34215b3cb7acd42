package index

import "github.com/weirfs/weir/replica"

// Node is one source inode and its object on the replica. A Put with Apart set leaves the names as they
// are: they are listed by NamesOf and changed by Link and Unlink. A record holds up to 64 names.
type Node = replica.Node

// Name is a directory entry on the replica: the key of the directory, and the name in it. Any byte may be
// part of a name.
type Name = replica.Name

// Flags is a set of bits that the caller defines. The index stores it and looks at none.
type Flags = replica.Flags
