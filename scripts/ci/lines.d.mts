export function labelled(name: string, show: (text: string) => void): (text: string) => void;
