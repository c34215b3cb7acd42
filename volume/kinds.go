package volume

import (
	"strings"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/mount"
)

// pseudo tells whether a type of file system holds nothing but views of the kernel's state.
func pseudo(fsType string) bool {
	switch fsType {
	case "proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue", "securityfs", "pstore", "efivarfs", "bpf",
		"tracefs", "debugfs", "configfs", "fusectl", "binfmt_misc", "autofs", "hugetlbfs", "nsfs", "rpc_pipefs",
		"selinuxfs", "smackfs", "apparmorfs", "devtmpfs", "binder", "resctrl", "nfsd", "pidfs", "secretmem",
		"dax", "sockfs", "pipefs", "bdev", "anon_inodefs", "functionfs", "xenfs", "openpromfs", "spufs",
		"ipathfs", "gadgetfs", "cpuset", "dmabuf", "guest_memfd", "fuse.lxcfs", "fuse.gvfsd-fuse", "fuse.portal":
		return true
	}
	return false
}

// shared tells whether others than this machine can change what a type of file system holds.
func shared(fsType string) bool {
	switch fsType {
	case "nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "9p", "virtiofs", "ceph", "afs", "coda", "lustre",
		"gfs2", "ocfs2", "beegfs", "gpfs", "orangefs", "pvfs2", "vboxsf", "vmhgfs", "prl_fs",
		"fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.ceph-fuse", "fuse.s3fs", "fuse.rclone", "fuse.davfs",
		"fuse.davfs2", "fuse.curlftpfs", "fuse.vmhgfs-fuse", "fuse.moosefs", "fuse.mfs", "fuse.juicefs",
		"fuse.gcsfuse", "fuse.blobfuse", "fuse.blobfuse2", "fuse.quobyte":
		return true
	}
	return false
}

// fuse tells whether a process answers for the file system. Its inodes have handles only as long as the
// kernel remembers them.
func fuse(fsType string) bool {
	return fsType == "fuse" || fsType == "fuseblk" || strings.HasPrefix(fsType, "fuse.")
}

// stacked tells whether a file system lies on others, and where: the directories that it was mounted with,
// as far as its options and source name absolute ones.
func stacked(fsType, source, options string) (layer bool, lower []string) {
	switch {
	case fsType == "overlay":
		return true, absolute(overlayDirectories(options)...)
	case fsType == "ecryptfs", fsType == "aufs", fsType == "unionfs", fsType == "wrapfs":
		return true, absolute(source)
	case fuse(fsType) && !shared(fsType) && !strings.HasPrefix(source, "/dev/"):
		lower := absolute(source)
		return len(lower) > 0, lower
	}
	return false, nil
}

// layerAltitude returns where a layer stands among the filters: at the end of the load-order group of its kind.
func layerAltitude(fsType string) weir.Altitude {
	switch fsType {
	case "overlay", "aufs", "unionfs", "fuse.mergerfs", "fuse.unionfs", "fuse.unionfs-fuse", "fuse.fuse-overlayfs":
		return weir.MustAltitude("139998.99") // Virtualization
	case "ecryptfs", "fuse.gocryptfs", "fuse.encfs", "fuse.cryfs", "fuse.securefs":
		return weir.MustAltitude("149998.99") // Encryption
	}
	return weir.MustAltitude("189998.99") // HSM: it may do anything
}

func absolute(paths ...string) []string {
	var kept []string
	for _, path := range paths {
		if strings.HasPrefix(path, "/") {
			kept = append(kept, path)
		}
	}
	return kept
}

// overlayDirectories returns the upper and the lower directories among an overlay's options. Colons separate
// lower ones, a double colon comes before data-only ones, and a backslash quotes the next character.
func overlayDirectories(options string) []string {
	var dirs []string
	for option := range splitQuoted(options, ',') {
		name, value, _ := strings.Cut(option, "=")
		switch name {
		case "upperdir", "lowerdir+", "datadir+":
			dirs = append(dirs, unquote(value))
		case "lowerdir":
			for dir := range splitQuoted(value, ':') {
				dirs = append(dirs, unquote(dir))
			}
		}
	}
	return dirs
}

// relativeTo says why it is not known what a layer stands on, if its directories were named from where it was mounted: the kernel
// tells nobody where that was.
func relativeTo(fsType, options string) string {
	if fsType != "overlay" {
		return ""
	}
	for _, dir := range overlayDirectories(options) {
		if !strings.HasPrefix(dir, "/") {
			return "it was mounted with the relative directory " + weir.QuotePath(dir) + ", and the kernel does not tell what that led to"
		}
	}
	return ""
}

// splitQuoted yields the parts of s between separators that no backslash quotes.
func splitQuoted(s string, separator byte) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		start := 0
		for i := 0; i < len(s); i++ {
			switch {
			case s[i] == '\\':
				i++
			case s[i] == separator:
				if !yield(s[start:i]) {
					return
				}
				start = i + 1
			}
		}
		yield(s[start:])
	}
}

// unquote removes the backslashes of octal escapes and of quoted characters.
func unquote(s string) string {
	s = mount.Unescape(s)
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
