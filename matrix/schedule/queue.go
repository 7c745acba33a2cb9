package schedule

import (
	"cmp"
	"container/heap"
	"slices"
	"time"
)

// queue holds the tasks that could begin and those that run, and chooses.
type queue struct {
	tasks   []Task
	rule    rule
	scarce  vector // how scarce each resource is
	room    Room
	used    Resources
	classes []*class // those that use the same, each with its tasks by rank
	of      map[Resources]*class
	running []running // by their ends as expected
	free    slots
	ready   int
}

// class is tasks that use the same, so that when the first does not fit none does.
type class struct {
	uses   Resources
	wants  vector // the same as weighed shares of what there is
	length float64
	ranks  []time.Duration
	tasks  []int
}

// running is a task that has begun and the time when it is expected to end.
type running struct {
	task, slot int
	end        time.Duration
}

func newQueue(tasks []Task, r rule, room Room) *queue {
	room.Slots = max(room.Slots, 1)
	q := &queue{tasks: tasks, rule: r, room: room, of: map[Resources]*class{}}
	if r.fit > 0 {
		q.scarce = scarcity(tasks, room)
	}
	return q
}

// add takes in a task that could begin.
func (q *queue) add(task int) {
	uses := q.tasks[task].Uses
	c := q.of[uses]
	if c == nil {
		c = &class{uses: uses, ranks: q.rule.ranks}
		c.wants = q.room.shares(uses).times(q.scarce)
		c.length = c.wants.dot(c.wants)
		q.of[uses] = c
		q.classes = append(q.classes, c)
	}
	heap.Push(c, task)
	q.ready++
}

// next chooses the task to begin now and the slot that it gets, and takes it for
// begun. There is none when nothing is ready or nothing that is may begin yet.
func (q *queue) next(now time.Duration) (begun running, ok bool) {
	if q.ready == 0 || len(q.running) >= q.room.Slots {
		return running{}, false
	}
	any := func(*class) bool { return true }
	first := q.first(any)
	if q.room.fits(q.used, first.uses) {
		return q.begin(first, now), true
	}
	if c := q.beside(first, now); c != nil {
		return q.begin(c, now), true
	}
	return running{}, false
}

// first is the class, of some, of the task that is to begin first.
func (q *queue) first(some func(*class) bool) *class {
	var first *class
	var best float64
	free := vector{1, 1, 1}.minus(q.room.shares(q.used)).times(q.scarce)
	for _, c := range q.classes {
		if len(c.tasks) == 0 || !some(c) {
			continue
		}
		score := float64(q.rule.ranks[c.tasks[0]])
		if q.rule.fit > 0 {
			score *= c.fit(free, q.rule.fit)
		}
		if first == nil || score > best || score == best && c.tasks[0] < first.tasks[0] {
			first, best = c, score
		}
	}
	return first
}

// fit says how well what the class uses is in proportion to what is free: 1 where it
// is the same of each resource, less the farther it is from that. It is the cosine of
// the angle between the two (Tetris, Grandl et al. 2014, has the product), to a power of
// two.
func (c *class) fit(free vector, power int) float64 {
	dot, length := c.wants.dot(free), c.length*free.dot(free)
	if length == 0 {
		return 1
	}
	fit := dot * dot / length
	for p := 2; p < power; p *= 2 {
		fit *= fit
	}
	return fit
}

// beside finds a task that fits now and does not delay one that does not: it ends
// before there will be room for that, or leaves it that room.
func (q *queue) beside(blocked *class, now time.Duration) *class {
	at, then := q.reservation(blocked.uses, now)
	return q.first(func(c *class) bool {
		return c != blocked && q.room.fits(q.used, c.uses) &&
			(now+q.tasks[c.tasks[0]].Takes <= at || q.room.fits(then, c.uses.plus(blocked.uses)))
	})
}

// reservation is when there will be room for so much, as those that run are expected
// to end, and what will be used then. One that is overdue may end any moment.
func (q *queue) reservation(uses Resources, now time.Duration) (at time.Duration, used Resources) {
	at, used = now, q.used
	for _, r := range q.running {
		if q.room.fits(used, uses) {
			break
		}
		u := q.tasks[r.task].Uses
		used = Resources{used.Memory - u.Memory, used.Disk - u.Disk, used.Cores - u.Cores}
		at = max(at, r.end)
	}
	return at, used
}

func (q *queue) begin(c *class, now time.Duration) running {
	task := heap.Pop(c).(int)
	q.ready--
	q.used = q.used.plus(c.uses)
	r := running{task, q.free.take(), now + q.tasks[task].Takes}
	i, _ := slices.BinarySearchFunc(q.running, r, compareEnds)
	q.running = slices.Insert(q.running, i, r)
	return r
}

func compareEnds(a, b running) int {
	return cmp.Or(cmp.Compare(a.end, b.end), cmp.Compare(a.task, b.task))
}

// end gives back what a task has used.
func (q *queue) end(r running) {
	i, _ := slices.BinarySearchFunc(q.running, r, compareEnds)
	q.running = slices.Delete(q.running, i, i+1)
	u := q.tasks[r.task].Uses
	q.used = Resources{q.used.Memory - u.Memory, q.used.Disk - u.Disk, q.used.Cores - u.Cores}
	q.free.give(r.slot)
}

// drain returns all that could begin, by position: they are not going to.
func (q *queue) drain() []int {
	var all []int
	for _, c := range q.classes {
		all = append(all, c.tasks...)
		c.tasks = nil
	}
	q.ready = 0
	slices.Sort(all)
	return all
}

// The methods of a heap (container/heap) that has the first to begin on top.
func (c *class) Len() int { return len(c.tasks) }

func (c *class) Less(i, j int) bool {
	a, b := c.tasks[i], c.tasks[j]
	return c.ranks[a] > c.ranks[b] || c.ranks[a] == c.ranks[b] && a < b
}
func (c *class) Swap(i, j int) { c.tasks[i], c.tasks[j] = c.tasks[j], c.tasks[i] }
func (c *class) Push(x any)    { c.tasks = append(c.tasks, x.(int)) }
func (c *class) Pop() any {
	last := c.tasks[len(c.tasks)-1]
	c.tasks = c.tasks[:len(c.tasks)-1]
	return last
}

// slots gives out numbers from 0, always the lowest that is free.
type slots struct {
	next int
	free intHeap // of those below next
}

func (s *slots) take() int {
	if len(s.free) > 0 {
		return heap.Pop(&s.free).(int)
	}
	s.next++
	return s.next - 1
}

func (s *slots) give(n int) { heap.Push(&s.free, n) }
