package weir

// ContextKind is what a context is put on, and how long it lives.
type ContextKind uint8

const (
	// ContextVolume is shared by the filter's instances on a volume, and ends when the last of them does.
	ContextVolume ContextKind = iota + 1
	// ContextInstance ends with its instance.
	ContextInstance
	// ContextFile is on an inode of the instance's volume, and ends with that, or with the instance.
	ContextFile
	// ContextOpen is on an open file, and ends when that is closed, or with the instance.
	ContextOpen
)

// String returns "volume", "instance", "file" or "open".
func (k ContextKind) String() string {
	return nameOf(k, "none", "volume", "instance", "file", "open")
}

// ContextKey names what a context is on.
type ContextKey struct {
	Kind ContextKind
	File Handle // of ContextFile
	Open OpenID // of ContextOpen
}

// SetContext says what becomes of a context that is there already.
type SetContext uint8

const (
	KeepExisting SetContext = iota
	ReplaceExisting
)

// Context is a value that a filter has put on an object, with one reference. If the value is a Cleaner, that is called
// once, when the context has been taken off its object and the last reference has been released.
type Context interface {
	Value() any

	// Release gives the reference back. It is called once.
	Release()
}

// Cleaner is a context's value that is told of its end, on the goroutine that released the last reference.
type Cleaner interface{ Cleanup() }
