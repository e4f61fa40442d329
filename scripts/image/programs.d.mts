/** What the driver starts on a node, what its simulator needs, and what mends each file system by hand. */
export declare const programs: readonly string[];
