//! One exchange about one tree, without a heap.
