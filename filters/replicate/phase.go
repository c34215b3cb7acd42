package replicate

import (
	"errors"
	"fmt"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/filters/replicate/target"
	"github.com/weirfs/weir/replica"
)

// Phase is what a unit does now.
type Phase string

// Phases, from the one that needs the operator most to the one that needs nobody.
const (
	PhaseHeld         Phase = "held"          // a volume stands there of which it is not known whether it is the right one
	PhaseDetached     Phase = "detached"      // the volume is there, and somebody has taken the filter from it; its replica stays
	PhaseSourceAbsent Phase = "source absent" // the volume is away; its replica stays
	PhaseTargetAbsent Phase = "target absent" // the target is not there, or is not the one that the index describes
	PhaseWaiting      Phase = "waiting"       // something failed and is tried again
	PhaseFull         Phase = "target full"
	PhaseBraked       Phase = "braked" // deletions wait for consent; all else goes on
	PhaseComparing    Phase = "comparing"
	PhaseCopying      Phase = "copying"
	PhaseSettling     Phase = "settling" // all is replicated but files that keep changing; each is copied again in a while
	PhaseInSync       Phase = "in sync"  // compared, nothing is dirty, and all of it is durable
	PhaseLeftOut      Phase = "left out" // by an option, although it was replicated before
)

// replicaStays ends a sentence about a place that is not followed.
const replicaStays = "; its replica stays as it is"

// standing is what a unit does now, why, and what helps, if that is another clause than the phase's own. The zero value
// says nothing.
type standing struct {
	phase        Phase
	reason, todo string
}

// ground tells what is wrong with what the unit stands on: its place, and the state directory. around is where a volume is
// away in whose mount point the place is.
func (u *unit) ground(around string) standing {
	_, volume, _ := u.place.at()
	u.place.mu.Lock()
	holding := u.place.holding
	u.place.mu.Unlock()
	if holding != "" {
		return standing{phase: PhaseHeld, reason: holding}
	}
	if by := u.r.leftOutBy(u.place); by != "" {
		return standing{phase: PhaseLeftOut, reason: "by " + by + replicaStays}
	}
	if err := u.r.options.Index.Health(); err != nil {
		return standing{phase: PhaseWaiting, reason: "the state directory cannot be written: " + err.Error()}
	}
	if volume != nil {
		return standing{}
	}
	away, why := u.r.away(u.place)
	path := u.r.pathOf(u.place)
	switch nested := u.place.parent != nil; {
	case why == whySilent:
		return standing{PhaseWaiting, whySilent, weir.SilentHint}
	case !u.r.listed.Load():
		return standing{phase: PhaseWaiting, reason: "the volumes of this machine are being listed"}
	case away != PhaseSourceAbsent:
		return standing{phase: away, reason: why}
	case why == whyNothing && nested && around == "":
		return standing{away, why, "make the directory and " + todoAbsent(path, nested)}
	case u.r.rootPlace().hasLeft():
		return standing{away, why, "put " + weir.QuotePath(u.r.options.Source) + " back" + untilThen}
	default:
		return standing{away, why, todoAbsent(path, nested)}
	}
}

// hindranceLocked tells what keeps the unit from its work. around is as for ground, mute is for how long the state
// directory has not answered. u.mu is held.
func (u *unit) hindranceLocked(around string, mute time.Duration) standing {
	silence, problems := u.silentLocked(), &u.status.problems
	switch outage := u.status.outage; {
	case errors.Is(outage, errNoPoint) && around != "":
		return standing{
			PhaseWaiting, "it is mounted inside the mount point of " + weir.QuotePath(around) + ", whose volume is away",
			"mount that first: what is in its bare mount point is not copied",
		}
	case targetIsAway(outage):
		return standing{PhaseTargetAbsent, absence(outage), remedy(outage)}
	case outage != nil && target.Full(outage):
		return standing{phase: PhaseFull, reason: plain(outage)}
	case outage != nil:
		return standing{PhaseWaiting, outage.Error(), todoOutage(outage)}
	case silence > 0 && mute > patience/2:
		return standing{
			PhaseWaiting, fmt.Sprintf("the state directory %s has not answered for %s", weir.QuotePath(u.r.options.Private), mute.Round(time.Second)),
			weir.SilentHint,
		}
	case silence > 0:
		return standing{phase: PhaseWaiting, reason: fmt.Sprintf("nothing has moved for %s: see whether a file system is frozen, or its disk or server is gone",
			silence.Round(time.Second))}
	case !problems.cramped.IsZero():
		return standing{phase: PhaseFull, reason: target.ErrNoRoom.Error()}
	case problems.full > 0:
		return standing{phase: PhaseFull, reason: "since " + problems.since.Format(time.TimeOnly)}
	}
	return standing{}
}

// workLocked tells what is done, or is waited for, where nothing hinders. u.mu is held.
func (u *unit) workLocked() standing {
	glance, owed := u.glancesLocked(), u.owedLocked()
	switch {
	case u.status.scanning && u.status.copying():
		return standing{phase: PhaseCopying, reason: u.status.scanReason}
	case u.status.scanning && !glance:
		return standing{phase: PhaseComparing, reason: u.status.scanReason}
	case u.scan.wanted && !glance:
		return standing{phase: PhaseComparing, reason: u.scan.reason}
	case u.worksLocked():
		return standing{phase: PhaseCopying}
	case owed == 1:
		return standing{phase: PhaseSettling, reason: "1 file keeps changing"}
	case owed > 0:
		return standing{phase: PhaseSettling, reason: fmt.Sprintf("%d files keep changing", owed)}
	case u.brake.Tripped():
		return standing{phase: PhaseBraked, reason: errBrake.Error()}
	case u.coveredLocked():
		return standing{phase: PhaseWaiting, reason: target.ErrCovered.Error()}
	}
	return standing{phase: PhaseInSync}
}

// glancesLocked reports whether all that goes on is a walk of a volume without events that has found nothing. u.mu is
// held.
func (u *unit) glancesLocked() bool {
	if u.status.scanning {
		return u.status.scanReason == reasonBlind && !u.status.copying()
	}
	return u.scan.wanted && u.scan.reason == reasonBlind
}

// coveredLocked reports whether something waits for a mount below the target to leave. u.mu is held.
func (u *unit) coveredLocked() (any bool) {
	if len(u.target.Covered()) > 0 {
		u.status.problems.each(func(_ replica.Name, t *trouble) { any = any || t.held == target.ErrCovered })
	}
	return any
}
